// The full cache: every row stays. The baseline of all others.
#include <attnlab/eviction.h>
#include <attnlab/plugin.h>

namespace {

class Full final : public attnlab::CachePolicy {
 public:
  Full(const attnlab::NoOptions&, const attnlab::CreateContext&) {}
  static attnlab::Traits traits(const attnlab::NoOptions&) { return {}; }
  std::unique_ptr<attnlab::LayerCache> create(const attnlab::LayerCacheContext& context) const override {
    return attnlab::rows_cache(context, nullptr);
  }
};

constexpr attnlab::Component<attnlab::CachePolicy> kCache[] = {attnlab::component<attnlab::CachePolicy, Full>(
    {.id = "full", .summary = "Keeps every row.", .reference = "arXiv:1706.03762"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "full", .version = "1.0", .cache = kCache);
