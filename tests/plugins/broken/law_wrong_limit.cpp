// Breaks "budget is kept": it keeps to its budget, and says that it leaves half of that.
#include "plugins/broken/law_parts.h"

namespace attnlab::broken {
namespace {

class HalfSaid final : public EvictionRule {
 public:
  HalfSaid(const LayerCacheContext& context, const BudgetOptions& options)
      : kv_heads_(context.shape.kv_heads), keep_(options.budget.rows(context).front()) {}
  int row_limit(int, int length) const noexcept override { return std::min(length, keep_ / 2); }
  void check(const ChunkView& chunk, int sequence, KvRows& rows) override {
    if (chunk.ends_prompt_or_step(sequence)) keep_newest(rows, sequence, kv_heads_, keep_);
  }

 private:
  int kv_heads_, keep_;
};

constexpr Component<CachePolicy> kBroken[] = {
    component<CachePolicy, RuledCache<HalfSaid, BudgetOptions>, BudgetOptions>(broken_info("wrong_limit"))};

}  // namespace
}  // namespace attnlab::broken

ATTNLAB_PLUGIN(.name = "law_wrong_limit", .version = "1.0", .cache = attnlab::broken::kBroken);
