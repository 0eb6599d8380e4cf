// H2O: the rows that received the most attention so far stay, and the newest. Zhang et al. 2023 (Heavy-Hitter Oracle).
// Not as in the paper: inside the prompt nothing is evicted token by token; the prompt is cut once, at its end.
#include <attnlab/heavy_hitters.h>
#include <attnlab/plugin.h>

namespace {

using attnlab::Feature;

class H2o final : public attnlab::CachePolicy {
 public:
  H2o(const attnlab::HeavyHitterOptions& options, const attnlab::CreateContext&) : options_(options) {}
  static attnlab::Traits traits(const attnlab::HeavyHitterOptions& options) {
    return options.in_phases({.provides = {Feature::token_eviction, Feature::per_head_eviction, Feature::mass_based},
                              .needs = {Feature::kv_rows, Feature::attention_mass}});
  }
  std::unique_ptr<attnlab::LayerCache> create(const attnlab::LayerCacheContext& context) const override {
    return attnlab::rows_cache(context, attnlab::heavy_hitters(options_, context));
  }

 private:
  attnlab::HeavyHitterOptions options_;
};

constexpr attnlab::Component<attnlab::CachePolicy> kCache[] = {
    attnlab::component<attnlab::CachePolicy, H2o, attnlab::HeavyHitterOptions>(
        {.id = "h2o",
         .summary = "Keeps the rows with the most attention so far and the newest ones.",
         .reference = "arXiv:2306.14048"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "h2o", .version = "1.0", .cache = kCache);
