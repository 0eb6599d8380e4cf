// SnapKV: at the end of the prompt, the rows with the most attention of its newest queries stay, and the newest rows.
// Li et al. 2024. The scores and the rule are in the SDK (observed_window.h), since related policies share them. Decode
// appends and never evicts, so the cache grows by a row a step.
#include <attnlab/observed_window.h>
#include <attnlab/plugin.h>

namespace {

using attnlab::Feature;
using SnapKvOptions = attnlab::ObservedWindowOptions;

class SnapKv final : public attnlab::CachePolicy {
 public:
  SnapKv(const SnapKvOptions& options, const attnlab::CreateContext&) : options_(options) {}
  static attnlab::Traits traits(const SnapKvOptions&) {
    return {.provides = {Feature::token_eviction, Feature::per_head_eviction, Feature::mass_based,
                         Feature::evicts_after_prompt_only},
            .needs = {Feature::kv_rows, Feature::attention_mass}};
  }
  std::unique_ptr<attnlab::LayerCache> create(const attnlab::LayerCacheContext& context) const override {
    return attnlab::rows_cache(
        context, attnlab::best_observed(options_, options_.rows(context, context.sequence_bytes()), context));
  }

 private:
  SnapKvOptions options_;
};

constexpr attnlab::Component<attnlab::CachePolicy> kCache[] = {
    attnlab::component<attnlab::CachePolicy, SnapKv, SnapKvOptions>(
        {.id = "snapkv",
         .summary = "Keeps, once after the prompt, the rows that its newest queries look at.",
         .reference = "arXiv:2404.14469"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "snapkv", .version = "1.0", .cache = kCache);
