// Breaks "save and restore go on identically": its rule writes more than it reads.
#include "plugins/broken/law_parts.h"

namespace attnlab::broken {
namespace {

class Talkative final : public EvictionRule {
 public:
  Talkative(const LayerCacheContext&, const NoOptions&) {}
  void check(const ChunkView&, int, KvRows&) override {}
  void save(int sequence, StateWriter& to) const override { to.put(sequence); }
  // restore() is the base's: it reads nothing
};

constexpr Component<CachePolicy> kBroken[] = {component<CachePolicy, RuledCache<Talkative>>(broken_info("half_state"))};

}  // namespace
}  // namespace attnlab::broken

ATTNLAB_PLUGIN(.name = "law_half_state", .version = "1.0", .cache = attnlab::broken::kBroken);
