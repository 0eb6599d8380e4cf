// Which keys a query sees. By `cover` the core skips tiles that no query sees, and does not mask tiles that all see.
#include <limits>

#include <attnlab/core.h>

namespace attnlab {

CausalMask::~CausalMask() = default;

MaskRule::Cover CausalMask::cover(const MaskPlace& place) const noexcept {
  const PositionRange queries = place.queries;
  const PositionRange keys = place.keys;
  const auto first_seen = [&](Position query) { return window_ > 0 ? query - window_ + 1 : 0; };
  if (keys.first > queries.last || keys.last < first_seen(queries.first)) return Cover::none;
  const bool all_before = keys.last <= queries.first;
  const bool all_inside = keys.first >= first_seen(queries.last);
  return all_before && all_inside ? Cover::full : Cover::partial;
}

void CausalMask::mask(ScoreTile& tile) const noexcept {
  const auto& scores = tile.scores;
  const auto rows = static_cast<std::int64_t>(tile.key_positions.size());
  for (std::int64_t query = 0; query < scores.extent(1); ++query) {
    const Position last = tile.query_positions[query];
    const Position first = window_ > 0 ? last - window_ + 1 : 0;
    for (std::int64_t member = 0; member < scores.extent(0); ++member) {
      float* of_query = &scores(member, query, 0);
      for (std::int64_t row = 0; row < rows; ++row) {
        const Position key = tile.key_positions[row];
        of_query[row] = key <= last && key >= first ? of_query[row] : -std::numeric_limits<float>::infinity();
      }
    }
  }
}

}  // namespace attnlab
