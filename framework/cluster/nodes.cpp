#include "cluster/nodes.h"

#include <cstdlib>
#include <system_error>

#include <fmt/format.h>

#include <attnlab/error.h>

#include "base/process_name.h"
#include "report/read/text_file.h"
#include "report/read/trial_result.h"

namespace attnlab::cluster {
namespace fs = std::filesystem;

std::string node_name() {
  if (const char* const name = std::getenv("SLURMD_NODENAME"); name != nullptr && *name != '\0') return name;
  return host_name();
}

std::string node_kind(const experiment::Environment& environment) {
  return fmt::format("{}, {}", environment.cpu, environment.simd_target);
}

nlohmann::json leave_node(const fs::path& results, const experiment::Environment& environment) {
  const std::string name = node_name(), kind = node_kind(environment);
  const fs::path file = results / "nodes" / (name + ".json");
  std::error_code failure;
  if (!fs::exists(file, failure)) {
    fs::create_directories(file.parent_path(), failure);
    nlohmann::json json = environment;
    json["kind"] = kind;
    report::write_atomically(file, report::json_text(json));
  }
  return {{"name", name}, {"kind", kind}};
}

std::map<std::string, nlohmann::json> read_nodes(const fs::path& results) {
  std::map<std::string, nlohmann::json> nodes;
  std::error_code none;
  for (fs::directory_iterator entry(results / "nodes", none), end; !none && entry != end; entry.increment(none)) {
    if (entry->path().extension() != ".json" || entry->path().filename().string().starts_with('.')) continue;
    try {
      nodes[entry->path().stem().string()] = report::read_json(entry->path());
    } catch (const Error&) {  // it is written anew by the next job there
    }
  }
  return nodes;
}

}  // namespace attnlab::cluster
