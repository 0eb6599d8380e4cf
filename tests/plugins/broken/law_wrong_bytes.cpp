// Breaks "bytes reported = bytes allocated": the rule holds a table that it does not report.
#include "plugins/broken/law_parts.h"

namespace attnlab::broken {
namespace {

class Hoarder final : public EvictionRule {
 public:
  Hoarder(const LayerCacheContext&, const NoOptions&) {}
  void check(const ChunkView&, int, KvRows&) override {}
  // bytes() is the base's: nothing

 private:
  std::vector<float> table_ = std::vector<float>(1 << 18);
};

constexpr Component<CachePolicy> kBroken[] = {component<CachePolicy, RuledCache<Hoarder>>(broken_info("wrong_bytes"))};

}  // namespace
}  // namespace attnlab::broken

ATTNLAB_PLUGIN(.name = "law_wrong_bytes", .version = "1.0", .cache = attnlab::broken::kBroken);
