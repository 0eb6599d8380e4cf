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
    thread_local std::vector<int> newest_first;
    newest_first.resize(query.key_positions.size());
    std::iota(newest_first.begin(), newest_first.end(), 0);
    std::ranges::sort(newest_first, std::greater(), [&](int row) { return query.key_positions[row]; });
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
};

using StickBreaking = attnlab::WeightedAttention<BrokenStick>;

constexpr attnlab::Component<attnlab::AttentionVariant> kAttention[] = {
    attnlab::component<attnlab::AttentionVariant, StickBreaking, attnlab::WeightedAttentionOptions>(
        {.id = "stick_breaking",
         .summary = "Each row takes a share of what newer rows left; the rest goes to the own value.",
         .reference = "arXiv:2410.17980"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "stick_breaking", .version = "1.0", .attention = kAttention);
