// Every key of an experiment itself and of its arms, with its type, bounds and meaning: what the readers of spec.cpp
// and arms.cpp take, and what the JSON Schema says. Options of plugins come from the plugins.
#pragma once

#include <attnlab/api.h>

#include "config/keys.h"

namespace attnlab::experiment {

inline constexpr int kMaxRepeats = 10'000;

[[nodiscard]] ATTNLAB_API const config::KeyTable& experiment_keys();
[[nodiscard]] ATTNLAB_API const config::KeyTable& repeats_keys();
[[nodiscard]] ATTNLAB_API const config::KeyTable& limits_keys();
[[nodiscard]] ATTNLAB_API const config::KeyTable& constructed_model_keys();

[[nodiscard]] ATTNLAB_API const config::KeyTable& arms_keys();
[[nodiscard]] ATTNLAB_API const config::KeyTable& grid_keys();
[[nodiscard]] ATTNLAB_API const config::KeyTable& arm_keys();
[[nodiscard]] ATTNLAB_API const config::KeyTable& pattern_keys();

}  // namespace attnlab::experiment
