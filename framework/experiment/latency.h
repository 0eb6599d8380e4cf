// Quantiles of the latencies of one trial.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

namespace attnlab::experiment {

/// The smallest latency that at least a share `q` of all do not exceed (nearest rank): one that was really measured.
[[nodiscard]] inline double latency_quantile(std::vector<double> latencies, double q) {
  std::sort(latencies.begin(), latencies.end());
  const auto rank = static_cast<std::size_t>(std::ceil(q * static_cast<double>(latencies.size())));
  return latencies[std::max<std::size_t>(rank, 1) - 1];
}

}  // namespace attnlab::experiment
