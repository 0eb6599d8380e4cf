// Breaks "budget of 100 % = full, to the bit": the oldest row goes at the end of a prompt, whatever the budget is.
#include "plugins/broken/law_parts.h"

namespace attnlab::broken {
namespace {

class OneLess final : public EvictionRule {
 public:
  OneLess(const LayerCacheContext& context, const BudgetOptions& options)
      : kv_heads_(context.shape.kv_heads), keep_(options.budget.rows(context).front()) {}
  void check(const ChunkView& chunk, int sequence, KvRows& rows) override {
    if (!chunk.ends_prompt_or_step(sequence)) return;
    const bool is_prompt = chunk.phases[sequence] == Phase::last_prefill;
    const int keep = is_prompt ? std::max(1, rows.rows(sequence, 0) - 1) : keep_;
    keep_newest(rows, sequence, kv_heads_, std::min(keep, keep_));
  }

 private:
  int kv_heads_, keep_;
};

constexpr Component<CachePolicy> kBroken[] = {
    component<CachePolicy, RuledCache<OneLess, BudgetOptions>, BudgetOptions>(broken_info("lossy"))};

}  // namespace
}  // namespace attnlab::broken

ATTNLAB_PLUGIN(.name = "law_lossy", .version = "1.0", .cache = attnlab::broken::kBroken);
