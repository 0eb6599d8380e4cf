// How the files of workloads spell keys that several of them have in the same form.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "config/keys.h"

namespace attnlab::experiment {

inline constexpr double kMostCount = std::numeric_limits<int>::max();

[[nodiscard]] inline config::Key count_key(std::string_view name, std::string_view doc, bool required = false,
                                           double min = 1) {
  return {
      .name = name, .type = config::KeyType::integer, .doc = doc, .required = required, .min = min, .max = kMostCount};
}

[[nodiscard]] inline config::Key seed_key(std::string_view doc) {
  return {.name = "seed", .type = config::KeyType::integer, .doc = doc, .min = 0, .max = 0x1p63};
}

/// For readers of the results: the seed of a workload's own, or those of the study.
[[nodiscard]] inline std::string seed_text(const std::optional<std::int64_t>& own,
                                           const std::vector<std::int64_t>& seeds) {
  return own ? std::to_string(*own) : fmt::format("{}", fmt::join(seeds, " "));
}

}  // namespace attnlab::experiment
