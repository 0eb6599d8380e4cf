#include "assembly/budget_choice.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <attnlab/cache_policy.h>
#include <attnlab/error.h>

#include "assembly/arm_model.h"

namespace attnlab::experiment {
namespace {

constexpr int kHeadDim = 16;
constexpr int kCapacity = 1 << 20;  // longer than any budget

const Descriptor& descriptor_of(const Registry& registry, const ComponentChoice& cache) {
  return registry.get(Kind::cache, cache.id, cache.where.text());
}

std::vector<std::string> budget_options(const Descriptor& component) {
  std::vector<std::string> names;
  for (const OptionSpec& option : component.options) {
    // A budget of 0 by default is that of another phase, which is as large as the first where it is not given.
    const auto* given = std::get_if<std::string>(&option.default_value);
    const auto budget = given == nullptr ? std::nullopt : Budget::parse(*given);
    if (option.type == OptionType::budget && (!budget || budget->amount > 0)) names.emplace_back(option.name);
  }
  return names;
}

// Rows that the policy leaves in a layer of its own; none where it refuses its options.
std::optional<int> rows_left(const Registry& registry, const ComponentChoice& cache) {
  Problems problems;
  registry.check(descriptor_of(registry, cache), cache.options, problems);
  if (!problems.entries().empty()) return std::nullopt;
  const auto storage = make_storage(StorageChoice{}, registry, {}, {}, {}, cache.where.text());
  const KvShape shape{.kv_heads = 1, .key_dim = kHeadDim, .value_dim = kHeadDim};
  LayerCacheContext context{.capacities = {kCapacity}, .heads = 1, .shape = shape};
  context.row_bytes = storage->row_bytes(shape);
  context.list_bytes = [&](int rows) { return storage->list_bytes(shape, rows); };
  context.make_rows = [&] { return storage->make_rows(shape, 1, 0); };
  try {
    const auto policy = registry.cache(
        cache.id, cache.options,
        {.hidden_dim = kHeadDim, .heads = 1, .kv_heads = 1, .head_dim = kHeadDim, .max_positions = kCapacity});
    return policy->create(context)->row_limit(0, std::numeric_limits<int>::max());
  } catch (const OptionError&) {
    return std::nullopt;
  }
}

// Options that count tokens and are no budget, the largest default first.
std::vector<const OptionSpec*> token_counts(const Descriptor& component) {
  std::vector<const OptionSpec*> found;
  for (const OptionSpec& option : component.options)
    if (option.type != OptionType::budget && option.unit == "tokens" &&
        std::holds_alternative<std::int64_t>(option.default_value))
      found.push_back(&option);
  std::ranges::stable_sort(found, std::greater(),
                           [](const OptionSpec* option) { return std::get<std::int64_t>(option->default_value); });
  return found;
}

}  // namespace

ComponentChoice with_budget(const Registry& registry, ComponentChoice cache, const Budget& budget) {
  const std::vector<std::string> names = budget_options(descriptor_of(registry, cache));
  double left = budget.amount;
  for (std::size_t i = 0; i < names.size(); ++i) {
    Budget part = budget;
    part.amount = left / static_cast<double>(names.size() - i);
    if (budget.unit != Budget::Unit::share) part.amount = std::floor(part.amount);
    left -= part.amount;
    cache.options[names[i]] = part.text();
  }
  return cache;
}

std::optional<BudgetChoice> with_rows(const Registry& registry, const ComponentChoice& cache, int rows) {
  const Descriptor& component = descriptor_of(registry, cache);
  if (budget_options(component).empty()) return std::nullopt;
  BudgetChoice made{with_budget(registry, cache, Budget(rows))};
  std::optional<int> kept = rows_left(registry, made.cache);
  for (const OptionSpec* option : token_counts(component)) {
    if (kept) break;
    ComponentChoice lower = made.cache;
    lower.options[option->name] = std::int64_t{std::min(8, rows / 2)};
    if ((kept = rows_left(registry, lower))) made.cache = std::move(lower);
  }
  if (!kept) return std::nullopt;
  // A policy that states no bound of its own is assumed to keep what its budget says.
  if (*kept == std::numeric_limits<int>::max()) return made;
  made.beside = std::max(0, *kept - rows);
  if (made.beside >= rows) return std::nullopt;  // what is kept beside the budget is more already
  if (made.beside > 0) made.cache = with_budget(registry, std::move(made.cache), Budget(rows - made.beside));
  return made;
}

}  // namespace attnlab::experiment
