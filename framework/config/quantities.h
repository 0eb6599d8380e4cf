// Numbers that people write with a unit: bytes (8GiB) and shares (2%), in the one grammar of attnlab/budget.h, and
// counts (100k, 5M). Not
// here: budgets of caches, which are options of plugins.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include <attnlab/api.h>

#include "config/node.h"
#include "config/problem_list.h"

namespace attnlab::config {

/// What the two readers take, as regular expressions; the JSON Schema repeats them.
inline constexpr std::string_view kBytesPattern =
    R"(^[0-9]{1,12}(\.[0-9]{1,9})?([eE][+-]?[0-9]{1,2})? ?(B|KiB|MiB|GiB|TiB)$)";
inline constexpr std::string_view kSharePattern = R"(^[0-9]{1,3}(\.[0-9]{1,9})?([eE][+-]?[0-9]{1,2})? ?%$)";

/// Of a count, in thousands as everywhere but in bytes; k is a thousand.
inline constexpr std::string_view kCountPattern = R"(^[0-9]{1,12}(\.[0-9]{1,9})?(k|M|G)$)";

/// `100k`, `1.5M`, `2G`, or a whole number; at least `min`.
ATTNLAB_API std::optional<std::int64_t> as_count(const Node& node, std::string_view name, ProblemList& problems,
                                                 std::int64_t min = 1);

/// `8GiB`, `512 MiB`, or a whole number of bytes; at least 1 byte.
ATTNLAB_API std::optional<std::uint64_t> as_bytes(const Node& node, std::string_view name, ProblemList& problems);

/// `2%` or `0.02`; more than 0 and less than 1.
ATTNLAB_API std::optional<double> as_share(const Node& node, std::string_view name, ProblemList& problems);

}  // namespace attnlab::config
