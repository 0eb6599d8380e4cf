// Breaks "budget is kept": it evicts after the prompt only and grows from there, which it does not say.
#include "plugins/broken/law_parts.h"

namespace attnlab::broken {
namespace {

class Once final : public EvictionRule {
 public:
  Once(const LayerCacheContext& context, const BudgetOptions& options)
      : kv_heads_(context.shape.kv_heads), keep_(options.budget.rows(context).front()) {}
  void check(const ChunkView& chunk, int sequence, KvRows& rows) override {
    if (chunk.phases[sequence] == Phase::last_prefill) keep_newest(rows, sequence, kv_heads_, keep_);
  }

 private:
  int kv_heads_, keep_;
};

constexpr Component<CachePolicy> kBroken[] = {
    component<CachePolicy, RuledCache<Once, BudgetOptions>, BudgetOptions>(broken_info("grows_in_decode"))};

}  // namespace
}  // namespace attnlab::broken

ATTNLAB_PLUGIN(.name = "law_grows_in_decode", .version = "1.0", .cache = attnlab::broken::kBroken);
