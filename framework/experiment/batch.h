// The batch grammar of the speed workload: parts joined by `_`, each `<count>q<new tokens>[k][s<total length>[k]]`.
// 8q1s1k is 8 sequences that each get 1 new token and have 1024 then; q512_8q1s1k is that beside a prompt of 512.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <attnlab/api.h>

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

/// None where a problem was added; its column is that of the character that is wrong.
[[nodiscard]] ATTNLAB_API std::optional<Batch> read_batch(const config::Node& node, config::ProblemList& problems);

}  // namespace attnlab::experiment
