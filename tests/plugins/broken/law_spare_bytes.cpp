// Breaks "bytes reported = bytes allocated": the rule holds a fifth more than the rows and reports nothing of it.
#include "plugins/broken/law_parts.h"

namespace attnlab::broken {
namespace {

class SpareRoom final : public EvictionRule {
 public:
  SpareRoom(const LayerCacheContext& context, const NoOptions&)
      : floats_of_row_(context.shape.kv_heads * (context.shape.key_dim + context.shape.value_dim)) {}
  void check(const ChunkView&, int sequence, KvRows& rows) override {
    const std::size_t wanted = static_cast<std::size_t>(rows.rows(sequence, 0)) * floats_of_row_ / 5;
    if (wanted > copies_.size()) copies_.resize(wanted);
  }
  // bytes() is the base's: nothing
  void clear(int) override { copies_ = {}; }

 private:
  int floats_of_row_;
  std::vector<float> copies_;
};

constexpr Component<CachePolicy> kBroken[] = {
    component<CachePolicy, RuledCache<SpareRoom>>(broken_info("spare_bytes"))};

}  // namespace
}  // namespace attnlab::broken

ATTNLAB_PLUGIN(.name = "law_spare_bytes", .version = "1.0", .cache = attnlab::broken::kBroken);
