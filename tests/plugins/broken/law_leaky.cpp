// Breaks "nothing leaks": every step allocates memory that outlives its cache.
#include "plugins/broken/law_parts.h"

namespace attnlab::broken {
namespace {

// Still reachable at the end, so that a leak sanitizer has nothing to say.
std::vector<std::unique_ptr<float[]>>& left_behind() {
  static std::vector<std::unique_ptr<float[]>> blocks;
  return blocks;
}

class Litterer final : public EvictionRule {
 public:
  Litterer(const LayerCacheContext&, const NoOptions&) {}
  void check(const ChunkView&, int, KvRows&) override { left_behind().push_back(std::make_unique<float[]>(64)); }
};

constexpr Component<CachePolicy> kBroken[] = {component<CachePolicy, RuledCache<Litterer>>(broken_info("leaky"))};

}  // namespace
}  // namespace attnlab::broken

ATTNLAB_PLUGIN(.name = "law_leaky", .version = "1.0", .cache = attnlab::broken::kBroken);
