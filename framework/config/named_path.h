// Paths in a file are relative to the file that names them, and are looked at before anything runs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "config/node.h"
#include "config/problem_list.h"

namespace attnlab::config {

enum class PathKind : std::uint8_t { file, any };

/// The path as the program opens it; none where a problem was added: no text, nothing there, a folder where a file is
/// wanted. `name` begins the message, `folder` is what paths of the command line are relative to.
[[nodiscard]] std::optional<std::filesystem::path> read_path(const Node& node, const std::string& name,
                                                             const std::filesystem::path& folder, PathKind kind,
                                                             ProblemList& problems);

/// The same of a list, of which the first that is there is taken: what a file would rather have comes first.
/// `passed_over`, where given, gets those before it.
[[nodiscard]] std::optional<std::filesystem::path> read_first_path(
    const Node& node, const std::string& name, const std::filesystem::path& folder, PathKind kind,
    ProblemList& problems, std::vector<std::filesystem::path>* passed_over = nullptr);

}  // namespace attnlab::config
