// 1.5-entmax in place of the softmax: weights are max(s / 2 - t, 0)^2 with the t for which they sum to 1, so rows far
// below the best get exactly 0. Peters et al. 2019, Correia et al. 2019. t is found exactly: scores more than 2 below
// the best cannot have weight, and of the others, in descending order, t follows from mean and variance of the first
// ones. Not here: other exponents, and the mass that some policies count.
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include <attnlab/plugin.h>
#include <attnlab/weighted_attention.h>

namespace {

// The t of scores that were halved, in descending order.
double threshold(std::span<const double> halves) {
  double t = 0, sum = 0, squares = 0;
  for (std::size_t count = 0; count < halves.size(); ++count) {
    const double half = halves[count] - halves[0];  // so that squares stay small
    sum += half;
    squares += half * half;
    const double rows = static_cast<double>(count + 1), mean = sum / rows;
    const double next = mean - std::sqrt(std::max(0.0, (1 - (squares - rows * mean * mean)) / rows));
    if (next > half) break;  // the row would have no weight
    t = next;
  }
  return t + halves[0];
}

class Entmax15 final : public attnlab::RowWeighting {
 public:
  void weigh(attnlab::QueryScores& query) const noexcept override {
    for (std::int64_t kv_head = 0; kv_head < query.scores.extent(0); ++kv_head)
      for (std::int64_t member = 0; member < query.scores.extent(1); ++member) weigh(query.scores[kv_head].row(member));
  }

  attnlab::Derivative derivative() const noexcept override { return attnlab::Derivative::own; }
  // With z the square roots of the weights: z (g - sum(z g) / sum(z)). Correia et al. 2019.
  void weigh_backward(const attnlab::QueryScores& before, attnlab::TensorView<float, 3> gradients,
                      attnlab::Gradients&) const override {
    std::vector<float> weights(before.key_positions.size());
    for (std::int64_t kv_head = 0; kv_head < gradients.extent(0); ++kv_head)
      for (std::int64_t member = 0; member < gradients.extent(1); ++member) {
        std::ranges::copy(before.scores[kv_head].row(member), weights.begin());
        weigh(weights);
        const std::span<float> of = gradients[kv_head].row(member);
        double roots = 0, pull = 0;
        for (std::size_t row = 0; row < of.size(); ++row) {
          const double root = std::sqrt(static_cast<double>(weights[row]));
          roots += root;
          pull += root * of[row];
        }
        for (std::size_t row = 0; row < of.size(); ++row)
          of[row] = static_cast<float>(roots == 0 ? 0 : std::sqrt(weights[row]) * (of[row] - pull / roots));
      }
  }

 private:
  static void weigh(std::span<float> scores) {
    constexpr float kUnseen = -std::numeric_limits<float>::infinity();
    thread_local std::vector<double> near;  // scores that may have weight, halved
    near.clear();
    float best = kUnseen;
    for (const float score : scores) best = score > best || std::isnan(score) ? score : best;
    for (const float score : scores)
      if (score > kUnseen && !(score < best - 2)) near.push_back(score / 2.0);
    std::ranges::sort(near, std::greater());
    const double t = std::isnan(best) ? best : near.empty() ? 0 : threshold(near);
    for (float& score : scores) {
      const double above = score == kUnseen ? 0 : score / 2.0 - t;
      score = static_cast<float>(above <= 0 ? 0 : above * above);  // NaN stays NaN
    }
  }
};

using Entmax = attnlab::WeightedAttention<Entmax15>;

constexpr attnlab::Component<attnlab::AttentionVariant> kAttention[] = {
    attnlab::component<attnlab::AttentionVariant, Entmax, attnlab::WeightedAttentionOptions>(
        {.id = "entmax",
         .summary = "1.5-entmax in place of the softmax: rows far below the best get exactly 0.",
         .reference = "arXiv:1905.05702"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "entmax", .version = "1.0", .attention = kAttention);
