// How sure a figure of a text is: a bootstrap over its windows, which are the blocks that hold what belongs together.
// All arms are drawn with the same windows, so that what a window has in common cancels in their comparison.
// Intervals of one figure are BCa (Efron 1987), which follows the skew that NLL and KL have; those of ratios are
// studentised max-T and hold for all arms at once. Nothing is said about fewer than kLeastWindows windows.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include <attnlab/api.h>

#include "report/statistics/statistics.h"

namespace attnlab::report {

inline constexpr int kLeastWindows = 100;

/// A figure of each window, summed over its counted tokens, and their count.
struct ATTNLAB_API WindowSums {
  std::vector<double> sums;
  std::vector<double> tokens;

  [[nodiscard]] double mean() const;
};

/// What an arm's ratio to the baseline is made of: of perplexities exp of the difference of the means, else the
/// quotient.
enum class RatioOf { perplexities, means };

class ATTNLAB_API BlockBootstrap {
 public:
  /// Needs at least kLeastWindows windows. The same count of windows gives the same draws.
  explicit BlockBootstrap(std::size_t windows);

  /// Of the mean per token; for several seeds, one entry each, of the median over seeds. All have windows() windows.
  [[nodiscard]] Interval interval(std::span<const WindowSums> seeds) const;

  /// For each pair a simultaneous interval of the arm's ratio to its reference, nothing where that is 0 or not finite
  /// in some draw; seeds of each arm as above, the same for all.
  [[nodiscard]] std::vector<std::optional<Interval>> ratio_intervals(std::span<const std::vector<WindowSums>> arms,
                                                                     std::span<const ArmPair> pairs,
                                                                     RatioOf ratio) const;

  [[nodiscard]] std::size_t windows() const { return windows_; }

 private:
  // Row 0 is the text as it is, then one for each draw.
  [[nodiscard]] std::vector<double> means(const WindowSums& figure) const;
  [[nodiscard]] std::vector<double> medians_over_seeds(
      std::size_t seeds, const std::function<std::vector<double>(std::size_t)>& figures_of) const;

  std::size_t windows_;
  std::vector<float> counts_;  // [1 + draws, windows]: how often each window was drawn
};

}  // namespace attnlab::report
