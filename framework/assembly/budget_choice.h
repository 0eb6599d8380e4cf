// Configures a cache policy to keep a given number of rows without knowing the names of its options: options that hold
// a budget have the type `budget`, and the cache itself is asked how many rows it keeps.
// Not here: what an experiment writes; this is for laws and benchmarks, which set budgets of their own.
#pragma once

#include <optional>

#include <attnlab/api.h>
#include <attnlab/budget.h>

#include "choices/component_choice.h"
#include "registry/registry.h"

namespace attnlab::experiment {

struct BudgetChoice {
  ComponentChoice cache;
  int beside = 0;  // rows that are kept beside the budget: sinks
};

/// The policy with a budget that leaves `rows` rows of a kv head. Options that count tokens are lowered where they do
/// not fit. None where the policy has no option of type `budget`, or refuses each of these. Makes a small cache.
[[nodiscard]] ATTNLAB_API std::optional<BudgetChoice> with_rows(const Registry& registry, const ComponentChoice& cache,
                                                                int rows);

/// The same options with another budget, which several options share equally.
[[nodiscard]] ATTNLAB_API ComponentChoice with_budget(const Registry& registry, ComponentChoice cache,
                                                      const Budget& budget);

}  // namespace attnlab::experiment
