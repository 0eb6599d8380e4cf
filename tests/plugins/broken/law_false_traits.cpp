// Breaks "declared traits are true", once in every kind: an attention that says that it has one kv head, positions that
// say that they add to scores, a cache that says that it decides by mass, a storage that says that it rounds. None of
// it is so.
#include "plugins/broken/storage_parts.h"

namespace attnlab::broken {
namespace {

template <class Interface, class Class>
constexpr Component<Interface> claims(std::string_view id, Traits (*traits)(const OptionValues&)) {
  Component<Interface> claiming = component<Interface, Class>(broken_info(id));
  claiming.traits = traits;
  return claiming;
}

class NoEviction final : public EvictionRule {
 public:
  NoEviction(const LayerCacheContext&, const NoOptions&) {}
  void check(const ChunkView&, int, KvRows&) override {}
};

constexpr Component<AttentionVariant> kAttentionBroken[] = {
    claims<AttentionVariant, FlawedAttention<CausalMask>>("false_attention", [](const OptionValues&) -> Traits {
      return {.provides = {Feature::kv_rows, Feature::attention_mass, Feature::single_kv_head}};
    })};
constexpr Component<PositionScheme> kPositionBroken[] = {claims<PositionScheme, IdlePosition>(
    "false_position", [](const OptionValues&) -> Traits { return {.provides = {Feature::score_bias}}; })};
constexpr Component<CachePolicy> kCacheBroken[] = {claims<CachePolicy, RuledCache<NoEviction>>(
    "false_cache",
    [](const OptionValues&) -> Traits { return {.provides = {Feature::mass_based}, .needs = {Feature::kv_rows}}; })};
constexpr Component<Storage> kStorageBroken[] = {claims<Storage, StorageOf<PlainCodec>>(
    "false_storage", [](const OptionValues&) -> Traits { return {.provides = {Feature::rounded_rows}}; })};

}  // namespace
}  // namespace attnlab::broken

ATTNLAB_PLUGIN(.name = "law_false_traits", .version = "1.0", .attention = attnlab::broken::kAttentionBroken,
               .position = attnlab::broken::kPositionBroken, .cache = attnlab::broken::kCacheBroken,
               .storage = attnlab::broken::kStorageBroken);
