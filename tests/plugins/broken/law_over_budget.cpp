// Breaks "budget is kept": three rows more than the budget stay.
#include "plugins/broken/law_parts.h"

namespace attnlab::broken {
namespace {

class ThreeMore final : public EvictionRule {
 public:
  ThreeMore(const LayerCacheContext& context, const BudgetOptions& options)
      : kv_heads_(context.shape.kv_heads), keep_(options.budget.rows(context).front() + 3) {}
  void check(const ChunkView& chunk, int sequence, KvRows& rows) override {
    if (chunk.ends_prompt_or_step(sequence)) keep_newest(rows, sequence, kv_heads_, keep_);
  }

 private:
  int kv_heads_, keep_;
};

constexpr Component<CachePolicy> kBroken[] = {
    component<CachePolicy, RuledCache<ThreeMore, BudgetOptions>, BudgetOptions>(broken_info("over_budget"))};

}  // namespace
}  // namespace attnlab::broken

ATTNLAB_PLUGIN(.name = "law_over_budget", .version = "1.0", .cache = attnlab::broken::kBroken);
