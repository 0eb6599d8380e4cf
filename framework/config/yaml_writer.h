// JSON as YAML that people read: maps as blocks, lists of plain values on one line. What is written here parses back to
// the same values. For plan.yaml.
#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

#include <attnlab/api.h>

namespace attnlab::config {

[[nodiscard]] ATTNLAB_API std::string to_yaml(const nlohmann::ordered_json& value);

}  // namespace attnlab::config
