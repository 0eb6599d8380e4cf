// Plugins given as a source: one file is compiled against the SDK of this program, and the result is kept, so that the
// next run need not compile it. Not for projects of several sources: cmake/AttnLabPlugin.cmake builds those.
#pragma once

#include <filesystem>

#include <attnlab/api.h>

namespace attnlab {

/// .cpp, .cc or .cxx.
[[nodiscard]] ATTNLAB_API bool is_plugin_source(const std::filesystem::path& file);

/// The shared object of a source: the kept one, or a new one where the source, a file beside it that it includes by a
/// quoted name, the SDK or a flag is another. Compiler and flags are those of this build; ATTNLAB_PLUGIN_CXXFLAGS adds
/// to them (for a debugger: "-O0 -g"). Kept in $XDG_CACHE_HOME/attnlab/plugins, else in ~/.cache/attnlab/plugins, else
/// in .attnlab/plugins beside the source: the first that can be written. The folder may be deleted at any time, and
/// several processes may ask at once. Error where it cannot be compiled: a problem that says so, then the compiler's
/// lines, each a problem of its own.
[[nodiscard]] ATTNLAB_API std::filesystem::path compiled_plugin(const std::filesystem::path& source);

}  // namespace attnlab
