// Sigmoid attention: the weight of a row is sigmoid(score - ln n), n being the number of rows that the query sees, so
// rows do not compete and no sink has to take the rest of the weight. Ramapuram et al. 2024; their bias is ln of the
// sequence's length for all queries. Not here: a softmax, and so neither sink logits nor the mass that some policies
// count.
#include <cmath>
#include <span>

#include <attnlab/plugin.h>
#include <attnlab/weighted_attention.h>

namespace {

class SigmoidWeights final : public attnlab::Weighting {
 public:
  void weigh(attnlab::ScoreTile& tile, std::span<const int> seen) const noexcept override {
    for (std::int64_t query = 0; query < tile.scores.extent(1); ++query) {
      const auto rows = static_cast<float>(seen[query]);
      for (std::int64_t member = 0; member < tile.scores.extent(0); ++member)
        for (float& score : tile.scores[member].row(query)) score = 1 / (1 + rows * std::exp(-score));
    }
  }
  attnlab::Derivative derivative() const noexcept override { return attnlab::Derivative::own; }
  void backward(const attnlab::ScoreTile& before, std::span<const int> seen,
                attnlab::TensorView<float, 3> gradients) const override {
    for (std::int64_t member = 0; member < gradients.extent(0); ++member)
      for (std::int64_t query = 0; query < gradients.extent(1); ++query)
        for (std::int64_t row = 0; row < gradients.extent(2); ++row) {
          const float weight = 1 / (1 + static_cast<float>(seen[query]) * std::exp(-before.scores(member, query, row)));
          gradients(member, query, row) *= weight * (1 - weight);
        }
  }
};

using Sigmoid = attnlab::WeightedAttention<SigmoidWeights>;

constexpr attnlab::Component<attnlab::AttentionVariant> kAttention[] = {
    attnlab::component<attnlab::AttentionVariant, Sigmoid, attnlab::WeightedAttentionOptions>(
        {.id = "sigmoid",
         .summary = "Every score weighs by itself, without a softmax.",
         .reference = "arXiv:2409.04431"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "sigmoid", .version = "1.0", .attention = kAttention);
