// The batch grammar of the speed workload: parts joined by `_`, each `<count>q<new tokens>[k][s<total length>[k]]`.
// 8q1s1k is 8 sequences that each get 1 new token and have 1024 then; q512_8q1s1k is that beside a prompt of 512.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include <attnlab/api.h>

#include "config/keys.h"
#include "config/node.h"
#include "config/problem_list.h"

namespace attnlab::experiment {

/// Sequences that look alike.
struct BatchPart {
  int count = 1;
  int new_tokens = 1;
  int total = 1;  // rows then, the new tokens included

  bool operator==(const BatchPart&) const = default;
};

using Batch = std::vector<BatchPart>;

/// The sum over all sequences; fits in an int, as the rows do.
[[nodiscard]] ATTNLAB_API int new_tokens(const Batch& batch);
[[nodiscard]] ATTNLAB_API int sequences(const Batch& batch);
/// Tokens that each sequence has in the end.
[[nodiscard]] ATTNLAB_API std::vector<int> totals(const Batch& batch);
/// Every sequence has rows already and gets one token.
[[nodiscard]] ATTNLAB_API bool is_decode(const Batch& batch);

/// Decode steps of one trial, the last with the rows that the case names; fewer where a sequence has not as many.
inline constexpr int kDecodeSteps = 32;
[[nodiscard]] ATTNLAB_API int decode_steps(const Batch& batch);

/// None where a problem was added; its column is that of the character that is wrong.
[[nodiscard]] ATTNLAB_API std::optional<Batch> read_batch(const config::Node& node, config::ProblemList& problems);

/// The keys of `{each: q1s*, range: [1k, 16k], factor: 2}` among batches.
[[nodiscard]] ATTNLAB_API const config::KeyTable& batch_range_keys();
/// `{each: q1s*, range: [1k, 16k], factor: 2}` is q1s1k, q1s2k ... q1s16k: texts that stand where the map does. None
/// where a problem was added.
[[nodiscard]] ATTNLAB_API std::vector<config::Node> expand_batches(const config::Node& node,
                                                                   config::ProblemList& problems);

/// What read_batch takes, as a regular expression for the JSON Schema; bounds and s >= q are beyond it.
inline constexpr std::string_view kBatchPattern =
    "^(0*[1-9][0-9]*)?q0*[1-9][0-9]*k?(s0*[1-9][0-9]*k?)?(_(0*[1-9][0-9]*)?q0*[1-9][0-9]*k?(s0*[1-9][0-9]*k?)?)*$";

}  // namespace attnlab::experiment
