// How a model stretches its rotary frequencies beyond the length it was trained on: only what the config says, checked.
// What the numbers do to the frequencies is the position plugin's.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <attnlab/api.h>

namespace attnlab::model {

/// Keys of `rope_scaling`. What a type does not use is empty; what it needs was checked to be there.
///   linear, dynamic, ntk  factor
///   llama3                factor, low_freq_factor < high_freq_factor, original_max_positions
///   yarn                  factor; optional original_max_positions (absent: max_positions), attention_factor,
///                         beta_fast, beta_slow, mscale, mscale_all_dim, truncate
///   longrope              short_factor, long_factor, original_max_positions; optional factor, attention_factor
struct RopeScaling {
  std::string type;
  std::optional<double> factor;  // at least 1
  std::optional<int> original_max_positions;
  std::optional<double> low_freq_factor;
  std::optional<double> high_freq_factor;
  std::optional<double> attention_factor;
  std::optional<double> beta_fast;
  std::optional<double> beta_slow;
  std::optional<double> mscale;
  std::optional<double> mscale_all_dim;
  bool truncate = true;              // the bounds of yarn's ramp are whole dimensions
  std::vector<double> short_factor;  // [rotary_dim / 2]
  std::vector<double> long_factor;   // [rotary_dim / 2]
};

}  // namespace attnlab::model
