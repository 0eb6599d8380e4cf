// The key `prefill` of workloads that split a sequence into a prompt and what is fed after it token by token.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "config/keys.h"
#include "config/map_reader.h"
#include "config/problem_list.h"

namespace attnlab::experiment {

/// `prefill: all`: everything is the prompt.
inline constexpr const char* kWholePrefill = "all";

[[nodiscard]] config::Key prefill_key(std::string_view doc);
/// The definition "prefill" of the JSON Schema.
[[nodiscard]] nlohmann::ordered_json prefill_schema();

/// Tokens of the prompt; `all`: `length` of them. None where the key is not there or a problem was added.
[[nodiscard]] std::optional<int> read_prefill(const config::MapReader& reader, const char* length_key,
                                              std::optional<int> length, config::ProblemList& problems);

/// The end of a label: "_prefill128", "_prefill_all".
[[nodiscard]] std::string prefill_label(int prefill, int length);

}  // namespace attnlab::experiment
