// `include: other.yaml`: values of the other file are used where this file does not set them. Maps are merged key by
// key, everything else is replaced whole; values keep the file that they stand in as their place, and paths are
// relative to it.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <string>

#include <attnlab/api.h>

#include "config/node.h"

namespace attnlab::config {

inline constexpr std::size_t kMaxIncludeDepth = 16;   // files that include each other in a row
inline constexpr std::size_t kMaxIncludedFiles = 64;  // in all

/// What the files said when they were read, by the paths they were opened under, so that the same can be read again
/// when they have changed since.
struct FileTexts {
  std::map<std::string, std::string> texts;
  bool are_kept = false;  // files are read from `texts` alone; else they are added to it
};

/// The file, merged with those that its key `include` (one path, or a list; later ones win over earlier ones) names,
/// and those that they name. A key of the file whose value is null drops what was included under it. Error with what is
/// wrong in any of the files: no YAML, no such file, a cycle, too many. A file that is no map is returned as it is.
[[nodiscard]] ATTNLAB_API Node parse_with_includes(const std::filesystem::path& path, FileTexts* texts = nullptr);

/// The two trees as one; `over` wins.
[[nodiscard]] ATTNLAB_API Node merged(const Node& under, const Node& over);

}  // namespace attnlab::config
