#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace attnlab::experiment {

/// What one process is started for.
struct ProcessTask {
  std::size_t arm = 0;
  std::int64_t seed = 0;
  int round = 0;
  std::vector<std::size_t> cases;  // indices into the plan's
};

}  // namespace attnlab::experiment
