#include "experiment/spec_paths.h"

#include <system_error>
#include <vector>

#include <attnlab/error.h>
#include <fmt/format.h>

#include "config/path_text.h"

namespace attnlab::experiment {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxNeighbours = 10'000;

// The neighbour that may be meant, or what is missing of the path.
std::string missing_remedy(const fs::path& path) {
  std::error_code failure;
  const fs::path parent = path.has_parent_path() ? path.parent_path() : fs::path(".");
  if (!fs::is_directory(parent, failure))
    return fmt::format("there is no folder {}", config::in_quotes(parent.string()));
  std::vector<std::string> names;
  for (fs::directory_iterator entry(parent, failure), end; !failure && entry != end && names.size() < kMaxNeighbours;
       entry.increment(failure))
    names.push_back(entry->path().filename().string());
  const std::string nearest = nearest_name(path.filename().string(), names);
  return nearest.empty() ? std::string() : fmt::format("did you mean \"{}\"?", nearest);
}

}  // namespace

std::optional<fs::path> read_path(const config::Node& node, const std::string& name, const fs::path& folder,
                                  PathKind kind, config::ProblemList& problems) {
  const auto named = config::as_path(node, name, folder, problems);
  if (!named) return std::nullopt;
  const fs::path& path = *named;
  std::error_code failure;
  const fs::file_status status = fs::status(path, failure);
  const char* const wanted = kind == PathKind::file ? "file" : "file or folder";
  if (!fs::exists(status)) {
    problems.add(node.mark(), fmt::format("{}: there is no {} {}", name, wanted, config::in_quotes(path.string())),
                 missing_remedy(path));
    return std::nullopt;
  }
  if (kind == PathKind::file && fs::is_directory(status)) {
    problems.add(node.mark(), fmt::format("{}: {} is a folder", name, config::in_quotes(path.string())), "name a file");
    return std::nullopt;
  }
  return path;
}

}  // namespace attnlab::experiment
