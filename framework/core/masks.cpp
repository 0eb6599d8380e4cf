// Which keys a query sees. By `cover` the core skips tiles that no query sees, and does not mask tiles that all see.
#include <algorithm>
#include <limits>

#include <attnlab/chosen_blocks.h>
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

ChosenBlocks::~ChosenBlocks() = default;

MaskRule::Cover ChosenBlocks::cover(const MaskPlace& place) const noexcept {
  bool any = false, all = place.keys.last <= place.queries.first;
  const int last = std::min(place.keys.last, place.queries.last) / block_;
  for (int token = place.first_token; token < place.first_token + place.tokens; ++token)
    for (int head = place.first_head; head < place.first_head + place.heads; ++head)
      for (int block = place.keys.first / block_; block <= last; ++block) {
        any = any || reads_(token, head, block) != 0;
        all = all && reads_(token, head, block) != 0;
      }
  return !any ? Cover::none : all ? Cover::full : Cover::partial;
}

void ChosenBlocks::mask(ScoreTile& tile) const noexcept {
  for (std::size_t row = 0; row < tile.key_positions.size(); ++row) {
    const Position key = tile.key_positions[row];
    const int block = std::min(key / block_, static_cast<int>(reads_.extent(2)) - 1);
    for (std::int64_t member = 0; member < tile.scores.extent(0); ++member)
      for (std::int64_t query = 0; query < tile.scores.extent(1); ++query)
        if (key > tile.query_positions[query] || reads_(tile.first_token + query, tile.first_head + member, block) == 0)
          tile.scores(member, query, row) = -std::numeric_limits<float>::infinity();
  }
}

}  // namespace attnlab
