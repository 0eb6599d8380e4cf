// On which machines a study ran.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include <attnlab/api.h>
#include <nlohmann/json.hpp>

#include "machine/environment.h"

namespace attnlab::cluster {

/// Slurm's name of this node, else the host's.
[[nodiscard]] std::string node_name();

/// Equal on machines whose speeds may be set side by side: CPU and instructions of the kernels.
[[nodiscard]] ATTNLAB_API std::string node_kind(const experiment::Environment& environment);

/// {"name", "kind"} of this node, as trials have it; leaves nodes/<name>.json where there is none.
[[nodiscard]] nlohmann::json leave_node(const std::filesystem::path& results,
                                        const experiment::Environment& environment);

/// By name, each as environment.json has a machine, with "kind". A file that is damaged is left out.
[[nodiscard]] std::map<std::string, nlohmann::json> read_nodes(const std::filesystem::path& results);

}  // namespace attnlab::cluster
