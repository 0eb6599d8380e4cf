#include "report/statistics/block_bootstrap.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>

#include <boost/math/distributions/normal.hpp>

#include <attnlab/error.h>

#include <attnlab/random.h>

namespace attnlab::report {
namespace {

constexpr std::size_t kDraws = 2000;
constexpr std::uint64_t kSeed = 0xb10c;

// How much each window pulls at the mean, in any unit.
std::vector<double> influences(std::span<const WindowSums> seeds) {
  std::vector<double> sum(seeds.front().sums.size(), 0.0);
  for (const WindowSums& figure : seeds) {
    const double mean = figure.mean();
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += figure.sums[i] - mean * figure.tokens[i];
  }
  return sum;
}

double acceleration(const std::vector<double>& influences) {
  double squares = 0;
  double cubes = 0;
  for (const double influence : influences) {
    squares += influence * influence;
    cubes += influence * influence * influence;
  }
  return squares > 0 ? cubes / (6 * std::pow(squares, 1.5)) : 0;
}

// Efron's bias-corrected and accelerated percentiles; figures[0] is the estimate, the others are draws.
Interval bca_interval(const std::vector<double>& figures, double acceleration) {
  const std::span<const double> draws = std::span(figures).subspan(1);
  double below = 0;
  for (const double draw : draws) below += draw < figures[0] ? 1 : draw == figures[0] ? 0.5 : 0;
  const boost::math::normal_distribution<double> normal;
  const double least = 0.5 / static_cast<double>(draws.size());
  const double bias =
      boost::math::quantile(normal, std::clamp(below / static_cast<double>(draws.size()), least, 1 - least));
  const auto end = [&](double level) {
    const double shift = bias + boost::math::quantile(normal, level);
    return quantile(draws, boost::math::cdf(normal, bias + shift / (1 - acceleration * shift)));
  };
  return {end((1 - kConfidence) / 2), end((1 + kConfidence) / 2), kConfidence};
}

double deviation_of(std::span<const double> draws) {
  const double mean = std::reduce(draws.begin(), draws.end()) / static_cast<double>(draws.size());
  double squares = 0;
  for (const double draw : draws) squares += (draw - mean) * (draw - mean);
  return std::sqrt(squares / static_cast<double>(draws.size() - 1));
}

}  // namespace

double WindowSums::mean() const {
  return std::reduce(sums.begin(), sums.end()) / std::reduce(tokens.begin(), tokens.end());
}

BlockBootstrap::BlockBootstrap(std::size_t windows) : windows_(windows) {
  ATTNLAB_CHECK(windows >= kLeastWindows, "too few windows for intervals");
  counts_.assign((1 + kDraws) * windows, 0.0F);
  std::fill_n(counts_.begin(), windows, 1.0F);
  SplitMix64 random(kSeed);
  for (std::size_t draw = 1; draw <= kDraws; ++draw)
    for (std::size_t i = 0; i < windows; ++i) ++counts_[draw * windows + random.below(windows)];
}

std::vector<double> BlockBootstrap::means(const WindowSums& figure) const {
  ATTNLAB_CHECK(figure.sums.size() == windows_ && figure.tokens.size() == windows_, "windows do not match");
  std::vector<double> means(1 + kDraws);
  const float* counts = counts_.data();
  for (double& mean : means) {
    double sum = 0;
    double tokens = 0;
    for (std::size_t i = 0; i < windows_; ++i) {
      sum += counts[i] * figure.sums[i];
      tokens += counts[i] * figure.tokens[i];
    }
    mean = sum / tokens;
    counts += windows_;
  }
  return means;
}

std::vector<double> BlockBootstrap::medians_over_seeds(
    std::size_t seeds, const std::function<std::vector<double>(std::size_t)>& figures_of) const {
  std::vector<std::vector<double>> figures;
  for (std::size_t seed = 0; seed < seeds; ++seed) figures.push_back(figures_of(seed));
  if (seeds == 1) return figures.front();
  std::vector<double> medians(1 + kDraws);
  std::vector<double> of_seeds(seeds);
  for (std::size_t draw = 0; draw < medians.size(); ++draw) {
    for (std::size_t seed = 0; seed < seeds; ++seed) of_seeds[seed] = figures[seed][draw];
    medians[draw] = median(of_seeds);
  }
  return medians;
}

Interval BlockBootstrap::interval(std::span<const WindowSums> seeds) const {
  const std::vector<double> figures =
      medians_over_seeds(seeds.size(), [&](std::size_t seed) { return means(seeds[seed]); });
  return bca_interval(figures, acceleration(influences(seeds)));
}

std::vector<std::optional<Interval>> BlockBootstrap::ratio_intervals(std::span<const std::vector<WindowSums>> arms,
                                                                     std::span<const ArmPair> pairs,
                                                                     RatioOf ratio) const {
  std::vector<std::vector<std::vector<double>>> drawn(arms.size());  // [arms, seeds, 1 + draws]
  for (const ArmPair& pair : pairs)
    for (const std::size_t arm : {pair.arm, pair.reference})
      if (drawn[arm].empty())
        for (const WindowSums& figure : arms[arm]) drawn[arm].push_back(means(figure));

  std::vector<double> largest(kDraws, 0.0);  // |T| of any pair
  std::vector<double> logs, deviations;      // of each pair
  for (const auto& [arm, reference] : pairs) {
    ATTNLAB_CHECK(arms[arm].size() == arms[reference].size(), "seeds do not match");
    const std::vector<double> figures = medians_over_seeds(arms[arm].size(), [&](std::size_t seed) {
      std::vector<double> mine = drawn[arm][seed];
      const std::vector<double>& theirs = drawn[reference][seed];
      for (std::size_t draw = 0; draw < mine.size(); ++draw)
        mine[draw] = ratio == RatioOf::perplexities ? mine[draw] - theirs[draw] : std::log(mine[draw] / theirs[draw]);
      return mine;
    });
    logs.push_back(figures[0]);
    deviations.push_back(deviation_of(std::span(figures).subspan(1)));
    if (deviations.back() > 0 && std::isfinite(deviations.back()))
      for (std::size_t draw = 0; draw < kDraws; ++draw)
        largest[draw] = std::max(largest[draw], std::abs(figures[draw + 1] - figures[0]) / deviations.back());
  }

  const double critical = quantile(largest, kConfidence);
  std::vector<std::optional<Interval>> intervals(pairs.size());
  for (std::size_t pair = 0; pair < pairs.size(); ++pair) {
    const double half = critical * deviations[pair];
    if (std::isfinite(logs[pair]) && std::isfinite(half))
      intervals[pair] = Interval{std::exp(logs[pair] - half), std::exp(logs[pair] + half), kConfidence};
  }
  return intervals;
}

}  // namespace attnlab::report
