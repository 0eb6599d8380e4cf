// Runs recorded streams of one attention layer through a cache policy, without a model: which rows the policy keeps and
// what the layer computes. The order of events is that of a model: prompt, check, then one token at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <attnlab/api.h>

#include "registry/registry.h"

namespace attnlab::experiment {

struct Replayed {
  std::vector<float> out;  // [T, H, d]
  std::vector<std::int64_t> out_shape;
  std::vector<std::uint8_t> kept;  // [T - prefill + 1, G, T]: row n is after n decode steps
  std::vector<std::int64_t> kept_shape;
  // Rows as they are held at the end, by position; zeros where nothing is.
  std::vector<float> keys, values;  // [T, G, d]
  std::vector<std::int64_t> rows_shape;
};

/// `streams` holds q [T, H, d], k and v [T, G, d] in F32, F16 or BF16, not rotated. `cache` and `position` are written
/// as on the command line; an empty position is `none`. Error for what does not fit.
[[nodiscard]] ATTNLAB_API Replayed replay(const std::filesystem::path& streams, const Registry& registry,
                                          const std::string& cache, const std::string& position, int prefill);

}  // namespace attnlab::experiment
