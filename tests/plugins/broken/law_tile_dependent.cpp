// Breaks "self-consistent": a score depends on the row's index within its tile.
#include "plugins/broken/law_parts.h"

namespace attnlab::broken {
namespace {

class ByIndex final : public ScoreHook {
 public:
  void apply(ScoreTile& tile) const noexcept override {
    for (std::int64_t member = 0; member < tile.scores.extent(0); ++member)
      for (std::int64_t query = 0; query < tile.scores.extent(1); ++query)
        for (std::int64_t row = 0; row < tile.scores.extent(2); ++row)
          tile.scores(member, query, row) += 0.01F * static_cast<float>(row);
  }
};

constexpr Component<PositionScheme> kBroken[] = {
    component<PositionScheme, BiasedPosition<ByIndex>>(broken_info("tile_dependent"))};

}  // namespace
}  // namespace attnlab::broken

ATTNLAB_PLUGIN(.name = "law_tile_dependent", .version = "1.0", .position = attnlab::broken::kBroken);
