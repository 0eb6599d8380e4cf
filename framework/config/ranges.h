// `{range: [64, 1024], factor: 2}` stands for 64, 128, 256, 512, 1024, and `step` for an arithmetic row. Where several
// values make sense a range is written out, and a tree that holds ranges becomes one tree for every combination.
#pragma once

#include <cstddef>
#include <vector>

#include <attnlab/api.h>

#include "config/keys.h"
#include "config/node.h"
#include "config/problem_list.h"

namespace attnlab::config {

inline constexpr std::size_t kMaxCombinations = 10'000;

/// What a range may hold.
[[nodiscard]] ATTNLAB_API const KeyTable& range_keys();

/// A map with the key `range`.
[[nodiscard]] ATTNLAB_API bool is_range(const Node& node);

/// The first range inside the tree, itself included; null pointer where there is none.
[[nodiscard]] ATTNLAB_API const Node* find_range(const Node& tree);

/// The numbers as scalars that stand where the range does; whole ones where both ends, and all between, are whole. None
/// where a problem was added. The ends may be written with a k (2k = 2048) where `takes_k`.
[[nodiscard]] ATTNLAB_API std::vector<Node> expand_range(const Node& range, ProblemList& problems,
                                                         bool takes_k = false);

/// The tree once for every combination of the values of its ranges, the first range changing slowest; the tree alone
/// where there is none. None where a problem was added.
[[nodiscard]] ATTNLAB_API std::vector<Node> expand_ranges(const Node& tree, ProblemList& problems);

}  // namespace attnlab::config
