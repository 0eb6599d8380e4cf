// Stick-breaking attention: going back from the newest row, each row takes a share of the weight that the rows after it
// have left, and the rest goes to the query's own value. Tan et al. 2024. The weights depend on the order of positions,
// so the method is published without a position scheme. The query's own key is not used. Not here: the own row as one
// of the others, and what is left for the caller, which the authors' code has as options.
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <vector>

#include <attnlab/plugin.h>
#include <attnlab/weighted_attention.h>

namespace {

class BrokenStick final : public attnlab::RowWeighting {
 public:
  void weigh(attnlab::QueryScores& query) const noexcept override {
    const std::vector<int>& newest_first = by_age(query);
    for (std::int64_t kv_head = 0; kv_head < query.scores.extent(0); ++kv_head)
      for (std::int64_t member = 0; member < query.scores.extent(1); ++member) {
        const std::span<float> scores = query.scores[kv_head].row(member);
        double left = 1;
        int own = -1;
        for (const int row : newest_first) {
          if (query.key_positions[row] == query.query_position) {
            own = row;
          } else if (scores[row] == -std::numeric_limits<float>::infinity()) {
            scores[row] = 0;
          } else {
            const double rest = 1 / (1 + std::exp(static_cast<double>(scores[row])));  // 1 - sigmoid(score)
            scores[row] = static_cast<float>(left / (1 + std::exp(-static_cast<double>(scores[row]))));
            left *= rest;
          }
        }
        if (own >= 0) scores[own] = static_cast<float>(left);
      }
  }
  attnlab::Derivative derivative() const noexcept override { return attnlab::Derivative::own; }
  // A score takes from what is left for all older rows, and for the query's own.
  void weigh_backward(const attnlab::QueryScores& before, attnlab::TensorView<float, 3> gradients,
                      attnlab::Gradients&) const override {
    const std::vector<int>& newest_first = by_age(before);
    std::vector<double> weights(newest_first.size());
    for (std::int64_t kv_head = 0; kv_head < gradients.extent(0); ++kv_head)
      for (std::int64_t member = 0; member < gradients.extent(1); ++member) {
        const std::span<const float> scores = before.scores[kv_head].row(member);
        const std::span<float> of = gradients[kv_head].row(member);
        double left = 1, older = 0;  // older: of the gradients times the weights of older rows
        const auto is_own = [&](int row) { return before.key_positions[row] == before.query_position; };
        for (const int row : newest_first) {
          if (is_own(row) || scores[row] == -std::numeric_limits<float>::infinity()) continue;
          const double share = 1 / (1 + std::exp(-static_cast<double>(scores[row])));
          weights[row] = left * share;
          left *= 1 - share;
        }
        for (const int row : newest_first)
          if (is_own(row)) older = of[row] * left;
        for (auto at = newest_first.rbegin(); at != newest_first.rend(); ++at) {
          const int row = *at;
          if (is_own(row) || scores[row] == -std::numeric_limits<float>::infinity()) {
            of[row] = 0;
            continue;
          }
          const double share = 1 / (1 + std::exp(-static_cast<double>(scores[row])));
          const double own = of[row] * weights[row];
          of[row] = static_cast<float>(own * (1 - share) - share * older);
          older += own;
        }
      }
  }

 private:
  static const std::vector<int>& by_age(const attnlab::QueryScores& query) {
    thread_local std::vector<int> newest_first;
    newest_first.resize(query.key_positions.size());
    std::iota(newest_first.begin(), newest_first.end(), 0);
    std::ranges::sort(newest_first, std::greater(), [&](int row) { return query.key_positions[row]; });
    return newest_first;
  }
};

using StickBreaking = attnlab::WeightedAttention<BrokenStick>;

constexpr attnlab::Component<attnlab::AttentionVariant> kAttention[] = {
    attnlab::component<attnlab::AttentionVariant, StickBreaking, attnlab::WeightedAttentionOptions>(
        {.id = "stick_breaking",
         .summary = "Each row takes a share of what newer rows left; the rest goes to the own value.",
         .reference = "arXiv:2410.17980"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "stick_breaking", .version = "1.0", .attention = kAttention);
