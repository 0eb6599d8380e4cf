#include "config/named_path.h"

#include <system_error>
#include <vector>

#include <attnlab/error.h>
#include <fmt/format.h>

#include "config/path_text.h"

namespace attnlab::config {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxNeighbours = 10'000;

// The neighbour that may be meant, or what is missing of the path.
std::string missing_remedy(const fs::path& path) {
  std::error_code failure;
  const fs::path parent = path.has_parent_path() ? path.parent_path() : fs::path(".");
  if (!fs::is_directory(parent, failure)) return fmt::format("there is no folder {}", in_quotes(parent.string()));
  std::vector<std::string> names;
  for (fs::directory_iterator entry(parent, failure), end; !failure && entry != end && names.size() < kMaxNeighbours;
       entry.increment(failure))
    names.push_back(entry->path().filename().string());
  const std::string nearest = nearest_name(path.filename().string(), names);
  return nearest.empty() ? std::string() : fmt::format("did you mean \"{}\"?", nearest);
}

}  // namespace

std::optional<fs::path> read_path(const Node& node, const std::string& name, const fs::path& folder, PathKind kind,
                                  ProblemList& problems) {
  const auto named = as_path(node, name, folder, problems);
  if (!named) return std::nullopt;
  const fs::path& path = *named;
  std::error_code failure;
  const fs::file_status status = fs::status(path, failure);
  const char* const wanted = kind == PathKind::file ? "file" : "file or folder";
  if (!fs::exists(status)) {
    problems.add(node.mark(), fmt::format("{}: there is no {} {}", name, wanted, in_quotes(path.string())),
                 missing_remedy(path));
    return std::nullopt;
  }
  if (kind == PathKind::file && fs::is_directory(status)) {
    problems.add(node.mark(), fmt::format("{}: {} is a folder", name, in_quotes(path.string())), "name a file");
    return std::nullopt;
  }
  return path;
}

std::optional<fs::path> read_first_path(const Node& node, const std::string& name, const fs::path& folder,
                                        PathKind kind, ProblemList& problems, std::vector<fs::path>* passed_over) {
  if (!node.is_sequence()) return read_path(node, name, folder, kind, problems);
  if (node.items().empty()) {
    problems.add(node.mark(), fmt::format("{}: the list is empty", name), "name at least one path");
    return std::nullopt;
  }
  for (const Node& item : node.items()) {
    const auto path = as_path(item, name, folder, problems);
    if (!path) return std::nullopt;
    std::error_code failure;
    // The last has to be there, and says so if it is not.
    if (&item == &node.items().back() || fs::exists(*path, failure))
      return read_path(item, name, folder, kind, problems);
    if (passed_over != nullptr) passed_over->push_back(*path);
  }
  return std::nullopt;
}

}  // namespace attnlab::config
