// Sigmoid attention: the weight of a row is sigmoid(score - ln n), n being the number of rows that the query sees, so
// rows do not compete and no sink has to take the rest of the weight. Ramapuram et al. 2024; their bias is ln of the
// sequence's length for all queries. Not here: a softmax, and so neither sink logits nor the mass that some policies
// count.
#include <cmath>

#include <attnlab/head_projections.h>
#include <attnlab/plugin.h>

namespace {

using attnlab::TensorView;

struct SigmoidOptions {
  std::int32_t kv_heads = 0;

  static constexpr auto fields() {
    return std::tuple{attnlab::field("kv_heads", &SigmoidOptions::kv_heads,
                                     {.min = 0,
                                      .doc = "Key/value heads; a divisor of the query heads. 0: as the model has.",
                                      .from_model = "num_key_value_heads"})};
  }
};

class SigmoidWeights final : public attnlab::Weighting {
 public:
  void weigh(attnlab::ScoreTile& tile, std::span<const int> seen) const noexcept override {
    for (std::int64_t query = 0; query < tile.scores.extent(1); ++query) {
      const auto rows = static_cast<float>(seen[query]);
      for (std::int64_t member = 0; member < tile.scores.extent(0); ++member)
        for (float& score : tile.scores[member].row(query)) score = 1 / (1 + rows * std::exp(-score));
    }
  }
};

class Sigmoid final : public attnlab::AttentionVariant {
 public:
  Sigmoid(const SigmoidOptions& options, const attnlab::CreateContext& context)
      : projections_(options.kv_heads > 0 ? options.kv_heads : context.kv_heads, context) {}
  static attnlab::Traits traits(const SigmoidOptions& options) {
    attnlab::Traits traits{.provides = {attnlab::Feature::kv_rows}, .excludes = {attnlab::Feature::selects_tiles}};
    if (options.kv_heads == 1) traits.provides.add(attnlab::Feature::single_kv_head);
    return traits;
  }

  std::vector<attnlab::ParameterSpec> parameters() const override { return projections_.parameters(); }
  void bind(const attnlab::ParameterSet& parameters) override { projections_.bind(parameters); }
  attnlab::KvShape kv_shape() const override { return projections_.kv_shape(); }

  void forward(const attnlab::LayerContext& layer, TensorView<const float, 2> hidden,
               TensorView<float, 2> out) override {
    attnlab::Steps& steps = layer.steps;
    const auto [q, k, v] = projections_.project(steps, hidden);
    auto mixed = steps.rows(layer.chunk.tokens(), projections_.heads(), projections_.head_dim());
    steps.append(k, v);
    steps.attend({.queries = q, .scale = projections_.scale(), .mask = mask_, .weighting = &weights_}, mixed);
    projections_.project_back(steps, mixed, out);
  }

 private:
  attnlab::HeadProjections projections_;
  attnlab::CausalMask mask_;
  SigmoidWeights weights_;
};

constexpr attnlab::Component<attnlab::AttentionVariant> kAttention[] = {
    attnlab::component<attnlab::AttentionVariant, Sigmoid, SigmoidOptions>(
        {.id = "sigmoid",
         .summary = "Every score weighs by itself, without a softmax.",
         .reference = "arXiv:2409.04431"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "sigmoid", .version = "1.0", .attention = kAttention);
