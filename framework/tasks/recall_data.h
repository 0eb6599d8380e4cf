// Multi-query associative recall as data (Arora et al. 2023): an example names pairs of a key and a value, then asks
// for the values of all keys again, at places that are mostly near the pairs. Nothing is read and nothing downloaded:
// every example is a function of its shape, a seed and its number.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <attnlab/api.h>
#include <attnlab/error.h>
#include <attnlab/random.h>

#include "tasks/task.h"

namespace attnlab::tasks {

struct RecallShape {
  int length = 0;  // tokens
  int pairs = 0;
  int vocab = 8192;

  [[nodiscard]] int prompt() const noexcept { return 2 * pairs; }
  /// Places of two tokens after the prompt; a query takes the first token of one.
  [[nodiscard]] int places() const noexcept { return (length - prompt()) / 2; }
};

/// A key that stands at `position` for the second time. Its value stood at `value_position`.
struct RecallQuery {
  int position = 0;
  int value_position = 0;
  TokenId value = 0;
};

struct RecallExample {
  std::vector<TokenId> tokens;       // [length]
  std::vector<RecallQuery> queries;  // [pairs], by position
};

/// Why no example has this shape; `where` is left empty.
[[nodiscard]] ATTNLAB_API std::optional<Problem> recall_problem(const RecallShape& shape);

/// Keys (from the lower half of the vocabulary) and values (from the upper), all different, fill the prompt. Key after
/// key is then put at the first token of a place that is drawn among those still free, place r = 1, 2, ... with weight
/// r^-0.99. Everything else is filled with random tokens that are none of the example's keys or values; so no answer
/// is ever fed.
[[nodiscard]] ATTNLAB_API RecallExample recall_example(const RecallShape& shape, std::uint64_t seed,
                                                       std::int64_t number);
/// The same from a generator.
[[nodiscard]] RecallExample draw_recall(const RecallShape& shape, SplitMix64& draws);

}  // namespace attnlab::tasks
