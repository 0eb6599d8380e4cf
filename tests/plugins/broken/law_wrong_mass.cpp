// Breaks "mass sums to queries x group": a query does not see its own row, so the first one sees none and gives none.
#include <limits>

#include "plugins/broken/law_parts.h"

namespace attnlab::broken {
namespace {

class OnlyOthers final : public MaskRule {
 public:
  Cover cover(const MaskPlace& place) const noexcept override {
    if (place.keys.first >= place.queries.last) return Cover::none;
    return place.keys.last < place.queries.first ? Cover::full : Cover::partial;
  }
  void mask(ScoreTile& tile) const noexcept override {
    for (std::int64_t member = 0; member < tile.scores.extent(0); ++member)
      for (std::int64_t query = 0; query < tile.scores.extent(1); ++query)
        for (std::int64_t row = 0; row < tile.scores.extent(2); ++row)
          if (tile.key_positions[row] >= tile.query_positions[query])
            tile.scores(member, query, row) = -std::numeric_limits<float>::infinity();
  }
};

constexpr Component<AttentionVariant> kBroken[] = {
    component<AttentionVariant, FlawedAttention<OnlyOthers>>(broken_info("wrong_mass"))};

}  // namespace
}  // namespace attnlab::broken

ATTNLAB_PLUGIN(.name = "law_wrong_mass", .version = "1.0", .attention = attnlab::broken::kBroken);
