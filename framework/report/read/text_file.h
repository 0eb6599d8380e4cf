// Files of a results folder, written so that a reader (or a resumed run) finds a whole file or none, whenever the
// writer is killed.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include <attnlab/api.h>

namespace attnlab::report {

/// Writes beside `path`, syncs, then renames over it. Any failure (full disk, read-only or missing folder) leaves the
/// old file as it was, removes the new one, and throws Error naming `path`. Different processes may write one path.
ATTNLAB_API void write_atomically(const std::filesystem::path& path, std::string_view text);

/// The whole file. Throws Error where it cannot be read.
[[nodiscard]] ATTNLAB_API std::string read_text(const std::filesystem::path& path);

}  // namespace attnlab::report
