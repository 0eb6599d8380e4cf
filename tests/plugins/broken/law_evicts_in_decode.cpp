// Breaks "declared traits are true": it says that it evicts after the prompt only, and evicts in every step.
#include "plugins/broken/law_parts.h"

namespace attnlab::broken {
namespace {

class Always final : public EvictionRule {
 public:
  Always(const LayerCacheContext& context, const BudgetOptions& options)
      : kv_heads_(context.shape.kv_heads), keep_(options.budget.rows(context).front()) {}
  void check(const ChunkView& chunk, int sequence, KvRows& rows) override {
    if (chunk.ends_prompt_or_step(sequence)) keep_newest(rows, sequence, kv_heads_, keep_);
  }

 private:
  int kv_heads_, keep_;
};

constexpr Component<CachePolicy> claiming() {
  using Policy = RuledCache<Always, BudgetOptions>;
  Component<CachePolicy> always = component<CachePolicy, Policy, BudgetOptions>(broken_info("evicts_in_decode"));
  always.traits = [](const OptionValues&) -> Traits {
    return {.provides = {Feature::token_eviction, Feature::evicts_after_prompt_only}, .needs = {Feature::kv_rows}};
  };
  return always;
}

constexpr Component<CachePolicy> kBroken[] = {claiming()};

}  // namespace
}  // namespace attnlab::broken

ATTNLAB_PLUGIN(.name = "law_evicts_in_decode", .version = "1.0", .cache = attnlab::broken::kBroken);
