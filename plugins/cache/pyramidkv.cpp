// PyramidKV: SnapKV whose budget falls linearly with depth. Cai et al. 2024. Where layers share rows, the line is over
// the caches that there are, so that their mean is the budget whatever the groups of layers are.
// Not here: a budget that depends on the prompt. A layer whose budget exceeds the prompt evicts nothing and gives
// nothing to the others, while the authors' code redistributes; they also round down where this file rounds.
#include <attnlab/observed_window.h>
#include <attnlab/plugin.h>

namespace {

using attnlab::Feature;

struct PyramidKvOptions : attnlab::ObservedWindowOptions {
  std::int32_t beta = 20;

  static constexpr auto fields() {
    return std::tuple_cat(
        std::tuple{attnlab::field("beta", &PyramidKvOptions::beta,
                                  {.min = 1,
                                   .doc = "The last layer keeps 1/beta of the mean budget beside the window, the first "
                                          "as much more than the mean as the last less; 1: all layers the same."})},
        attnlab::ObservedWindowOptions::fields());
  }
};

// Of a mean budget b beside the window the first cache has 2b - b/beta, the last b/beta, the others lie on the line
// between. As one fraction, so that halves are exact: they go to the even number.
int cache_budget(int budget, const PyramidKvOptions& options, int cache, int caches) {
  if (caches == 1) return budget;
  const std::int64_t beta = options.beta;
  const std::int64_t steps = caches - 1;
  const std::int64_t numerator = (budget - options.window) * ((2 * beta - 1) * steps - 2 * cache * (beta - 1));
  const std::int64_t denominator = beta * steps;
  std::int64_t rounded = numerator / denominator;
  const std::int64_t twice_rest = 2 * (numerator % denominator);
  if (twice_rest > denominator || (twice_rest == denominator && rounded % 2 != 0)) ++rounded;
  return options.window + static_cast<int>(rounded);
}

class PyramidKv final : public attnlab::CachePolicy {
 public:
  PyramidKv(const PyramidKvOptions& options, const attnlab::CreateContext&) : options_(options) {}
  static attnlab::Traits traits(const PyramidKvOptions&) {
    return {.provides = {Feature::token_eviction, Feature::per_head_eviction, Feature::mass_based,
                         Feature::evicts_after_prompt_only},
            .needs = {Feature::kv_rows, Feature::attention_mass}};
  }
  std::unique_ptr<attnlab::LayerCache> create(const attnlab::LayerCacheContext& context) const override {
    const auto layers_bytes = [&](int budget) {
      double bytes = 0;
      for (int cache = 0; cache < context.cache_count(); ++cache)
        bytes += context.list_bytes(cache_budget(budget, options_, cache, context.cache_count()) + 1);
      return bytes * context.shape.kv_heads;
    };
    std::vector<int> keep = options_.rows(context, layers_bytes);
    for (int& rows : keep) rows = cache_budget(rows, options_, context.cache_place(), context.cache_count());
    return attnlab::rows_cache(context, attnlab::best_observed(options_, std::move(keep), context));
  }

 private:
  PyramidKvOptions options_;
};

constexpr attnlab::Component<attnlab::CachePolicy> kCache[] = {
    attnlab::component<attnlab::CachePolicy, PyramidKv, PyramidKvOptions>(
        {.id = "pyramidkv",
         .summary = "Keeps what SnapKV keeps, with budgets that fall with depth.",
         .reference = "arXiv:2406.02069"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "pyramidkv", .version = "1.0", .cache = kCache);
