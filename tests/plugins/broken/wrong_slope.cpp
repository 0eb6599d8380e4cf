// ALiBi with slopes of twice their value. It breaks no law, for a formula that only the plugin knows cannot be wrong to
// the kit: it contradicts itself nowhere. What holds the built-in alibi is a reference of its own.
#include "plugins/broken/law_parts.h"

namespace attnlab::broken {
namespace {

class SteepPenalty final : public ScoreHook {
 public:
  void apply(ScoreTile& tile) const noexcept override {
    for (std::int64_t member = 0; member < tile.scores.extent(0); ++member) {
      const float slope = 2 * std::exp2(-2.0F * static_cast<float>(tile.first_head + member + 1));  // of 4 heads
      for (std::int64_t query = 0; query < tile.scores.extent(1); ++query)
        for (std::size_t row = 0; row < tile.key_positions.size(); ++row)
          tile.scores(member, query, row) -=
              slope * static_cast<float>(tile.query_positions[query] - tile.key_positions[row]);
    }
  }
};

constexpr Component<PositionScheme> kBroken[] = {
    component<PositionScheme, BiasedPosition<SteepPenalty>>(broken_info("wrong_slope"))};

}  // namespace
}  // namespace attnlab::broken

ATTNLAB_PLUGIN(.name = "wrong_slope", .version = "1.0", .position = attnlab::broken::kBroken);
