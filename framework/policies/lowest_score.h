// Which row of a full cache goes first, found by vectors.
#pragma once

#include <span>

#include <attnlab/chunk.h>

namespace attnlab {

/// Rows below `first`, and from `recent` on, stay whatever their score is.
struct KeptPositions {
  Position first, recent;
  [[nodiscard]] bool has(Position position) const noexcept { return position < first || position >= recent; }
};

/// The lowest score of a row that is not kept; +infinity where there is none. No score is NaN; positions [rows].
[[nodiscard]] double lowest_score(std::span<const double> scores, std::span<const Position> positions,
                                  const KeptPositions& kept) noexcept;
/// The lowest position of a row with this score that is not kept; the highest that there is where there is none.
[[nodiscard]] Position oldest_with(double score, std::span<const double> scores, std::span<const Position> positions,
                                   const KeptPositions& kept) noexcept;

}  // namespace attnlab
