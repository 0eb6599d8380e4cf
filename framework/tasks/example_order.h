// Which example comes when. The order of a run is a function of the seed and of the number of the sequence, so a run
// that is continued needs no other state than that number.
#pragma once

#include <cstdint>

#include <attnlab/api.h>

#include "tasks/task.h"

namespace attnlab::tasks {

/// Index of the `number`th sequence (from 0) that a run takes from a split. Endless tasks: the number. Sequential ones:
/// in the order of the indices, and again from the first. All others: every example once in an order of its own for
/// each round (and seed), then all again in another. Validation has one order for all seeds, so that the first batches
/// are spread over all that is held out and the same for everyone. The split must have examples.
[[nodiscard]] ATTNLAB_API std::int64_t example_index(const Task& task, std::uint64_t seed, Split split,
                                                     std::int64_t number);

/// The image of `index` under a permutation of 0 .. count - 1 that `key` names; takes no memory (a Feistel network on
/// the next power of four, walked until the image is below `count`). 0 <= index < count.
[[nodiscard]] ATTNLAB_API std::int64_t permuted(std::int64_t index, std::int64_t count, std::uint64_t key);

}  // namespace attnlab::tasks
