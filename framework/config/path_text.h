// Paths as an experiment writes them: text in which ${NAME} stands for a variable of the environment, and ~ or $HOME at
// its beginning for the user's own folder. Only paths may contain variables, so that what is measured never depends on
// the environment without being visible.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include <attnlab/api.h>

#include "config/node.h"
#include "config/problem_list.h"

namespace attnlab::config {

/// The text with the user's own folder in place of a leading `~`, `$HOME` or `${HOME}`, as a shell has it.
[[nodiscard]] ATTNLAB_API std::string with_home(const std::string& text);

/// The path, relative to the folder of the file that the node stands in (of `otherwise` where it stands in none).
/// Nothing is looked up on the disk. None where a problem was added: no text, an empty one, a variable that is not set.
ATTNLAB_API std::optional<std::filesystem::path> as_path(const Node& node, std::string_view name,
                                                         const std::filesystem::path& otherwise, ProblemList& problems);

}  // namespace attnlab::config
