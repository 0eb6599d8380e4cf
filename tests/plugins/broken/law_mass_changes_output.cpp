// Breaks "mass sums to queries x group": which rows are seen depends on how often the mask was asked before, so
// asking for the mass changes the output.
#include <atomic>
#include <limits>

#include "plugins/broken/law_parts.h"

namespace attnlab::broken {
namespace {

class ByCalls final : public MaskRule {
 public:
  Cover cover(const MaskPlace& place) const noexcept override {
    return place.keys.first > place.queries.last ? Cover::none : Cover::partial;
  }
  void mask(ScoreTile& tile) const noexcept override {
    const int call = calls_++;
    for (std::int64_t member = 0; member < tile.scores.extent(0); ++member)
      for (std::int64_t query = 0; query < tile.scores.extent(1); ++query)
        for (std::int64_t row = 0; row < tile.scores.extent(2); ++row) {
          const Position distance = tile.query_positions[query] - tile.key_positions[row];
          if (distance < 0 || (distance > 0 && (distance + call) % 3 == 0))
            tile.scores(member, query, row) = -std::numeric_limits<float>::infinity();
        }
  }

 private:
  mutable std::atomic<int> calls_ = 0;
};

constexpr Component<AttentionVariant> kBroken[] = {
    component<AttentionVariant, FlawedAttention<ByCalls>>(broken_info("mass_changes_output"))};

}  // namespace
}  // namespace attnlab::broken

ATTNLAB_PLUGIN(.name = "law_mass_changes_output", .version = "1.0", .attention = attnlab::broken::kBroken);
