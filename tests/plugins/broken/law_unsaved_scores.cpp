// Breaks "save and restore go on identically": how much stays depends on what the rule has counted, and it does not
// save that.
#include "plugins/broken/law_parts.h"

namespace attnlab::broken {
namespace {

class Counting final : public EvictionRule {
 public:
  Counting(const LayerCacheContext& context, const NoOptions&)
      : kv_heads_(context.shape.kv_heads), seen_(context.sequences) {}
  void check(const ChunkView& chunk, int sequence, KvRows& rows) override {
    seen_[sequence] += chunk.tokens_of(sequence);
    if (chunk.ends_prompt_or_step(sequence)) keep_newest(rows, sequence, kv_heads_, 8 + seen_[sequence] % 7);
  }
  void clear(int sequence) override { seen_[sequence] = 0; }
  // save() and restore() are the base's: they know of no counts

 private:
  int kv_heads_;
  std::vector<int> seen_;  // [sequences]
};

constexpr Component<CachePolicy> kBroken[] = {
    component<CachePolicy, RuledCache<Counting>>(broken_info("unsaved_scores"))};

}  // namespace
}  // namespace attnlab::broken

ATTNLAB_PLUGIN(.name = "law_unsaved_scores", .version = "1.0", .cache = attnlab::broken::kBroken);
