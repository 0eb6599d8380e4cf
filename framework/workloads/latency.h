// The latencies of one trial: their quantiles, and a few of them to look at.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace attnlab::experiment {

/// The smallest latency that at least a share `q` of all do not exceed (nearest rank): one that was really measured.
[[nodiscard]] inline double latency_quantile(std::vector<double> latencies, double q) {
  std::sort(latencies.begin(), latencies.end());
  const auto rank = static_cast<std::size_t>(std::ceil(q * static_cast<double>(latencies.size())));
  return latencies[std::max<std::size_t>(rank, 1) - 1];
}

/// At most `most` of the latencies, evenly spaced in the order of time: what a report draws a distribution from.
[[nodiscard]] inline std::vector<double> thinned(const std::vector<double>& latencies, std::size_t most = 512) {
  if (latencies.size() <= most) return latencies;
  std::vector<double> kept;
  for (std::size_t i = 0; i < most; ++i) kept.push_back(latencies[i * latencies.size() / most]);
  return kept;
}

}  // namespace attnlab::experiment
