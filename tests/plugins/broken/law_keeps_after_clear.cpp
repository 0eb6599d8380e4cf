// Breaks "clear goes back to the start": the rule goes on counting tokens when the sequence begins anew.
#include "plugins/broken/law_parts.h"

namespace attnlab::broken {
namespace {

class Counting final : public EvictionRule {
 public:
  Counting(const LayerCacheContext& context, const NoOptions&)
      : kv_heads_(context.shape.kv_heads), seen_(context.sequences) {}
  void check(const ChunkView& chunk, int sequence, KvRows& rows) override {
    seen_[sequence] += chunk.tokens_of(sequence);
    if (seen_[sequence] > 128 && chunk.ends_prompt_or_step(sequence)) keep_newest(rows, sequence, kv_heads_, 8);
  }
  // clear() is the base's: it forgets nothing

 private:
  int kv_heads_;
  std::vector<int> seen_;  // [sequences]
};

constexpr Component<CachePolicy> kBroken[] = {
    component<CachePolicy, RuledCache<Counting>>(broken_info("keeps_after_clear"))};

}  // namespace
}  // namespace attnlab::broken

ATTNLAB_PLUGIN(.name = "law_keeps_after_clear", .version = "1.0", .cache = attnlab::broken::kBroken);
