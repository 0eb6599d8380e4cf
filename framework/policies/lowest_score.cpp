#include "policies/lowest_score.h"

#include <algorithm>
#include <limits>

#define HWY_DISABLED_TARGETS HWY_AVX3_DL  // nothing here gains from it, and every target costs build time
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "policies/lowest_score.cpp"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace attnlab::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Scores = hn::ScalableTag<double>;

// Positions as doubles, which hold all of them: for as many as there are scores in a vector.
struct Rows {
  HWY_INLINE explicit Rows(const KeptPositions& kept)
      : first(hn::Set(Scores(), kept.first)), recent(hn::Set(Scores(), kept.recent)) {}
  HWY_INLINE hn::Vec<Scores> positions(const Position* from) const {
    return hn::PromoteTo(Scores(), hn::LoadU(hn::Rebind<Position, Scores>(), from));
  }
  HWY_INLINE hn::Mask<Scores> may_go(hn::Vec<Scores> positions) const {
    return hn::And(hn::Ge(positions, first), hn::Lt(positions, recent));
  }
  hn::Vec<Scores> first, recent;
};

// The least of numbers that are made of rows: of_vector(row) of as many as a vector has, of_row(row) of one.
template <class OfVector, class OfRow>
HWY_INLINE double least(std::size_t count, const OfVector& of_vector, const OfRow& of_row) {
  const Scores d;
  auto found = hn::Set(d, std::numeric_limits<double>::infinity());
  std::size_t row = 0;
  for (; row + hn::Lanes(d) <= count; row += hn::Lanes(d)) found = hn::Min(found, of_vector(row));
  double result = hn::GetLane(hn::MinOfLanes(d, found));
  for (; row < count; ++row) result = std::min(result, of_row(row));
  return result;
}

double lowest_score_target(const double* scores, const Position* positions, std::size_t count,
                           const KeptPositions& kept) {
  const Scores d;
  const Rows rows(kept);
  constexpr double none = std::numeric_limits<double>::infinity();
  return least(
      count,
      [&](std::size_t row) HWY_ATTR {
        const auto goes = rows.may_go(rows.positions(positions + row));
        return hn::IfThenElse(goes, hn::LoadU(d, scores + row), hn::Set(d, none));
      },
      [&](std::size_t row) { return kept.has(positions[row]) ? none : scores[row]; });
}

Position oldest_with_target(double score, const double* scores, const Position* positions, std::size_t count,
                            const KeptPositions& kept) {
  const Scores d;
  const Rows rows(kept);
  constexpr double none = std::numeric_limits<Position>::max();
  const double oldest = least(
      count,
      [&](std::size_t row) HWY_ATTR {
        const auto at = rows.positions(positions + row);
        const auto is_score = hn::Eq(hn::LoadU(d, scores + row), hn::Set(d, score));
        return hn::IfThenElse(hn::And(is_score, rows.may_go(at)), at, hn::Set(d, none));
      },
      [&](std::size_t row) {
        return scores[row] == score && !kept.has(positions[row]) ? double{positions[row]} : none;
      });
  return static_cast<Position>(std::min(oldest, none));
}

}  // namespace attnlab::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attnlab {
HWY_EXPORT(lowest_score_target);
HWY_EXPORT(oldest_with_target);

double lowest_score(std::span<const double> scores, std::span<const Position> positions,
                    const KeptPositions& kept) noexcept {
  return HWY_DYNAMIC_DISPATCH(lowest_score_target)(scores.data(), positions.data(), scores.size(), kept);
}
Position oldest_with(double score, std::span<const double> scores, std::span<const Position> positions,
                     const KeptPositions& kept) noexcept {
  return HWY_DYNAMIC_DISPATCH(oldest_with_target)(score, scores.data(), positions.data(), scores.size(), kept);
}

}  // namespace attnlab
#endif
