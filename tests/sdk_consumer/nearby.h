// The penalty of nearby.cpp, so that its test can ask for it.
#pragma once

#include <algorithm>

namespace nearby {

/// Nothing up to `near`, then linear.
inline float penalty(int distance, int near, float slope) {
  return slope * static_cast<float>(std::max(distance - near, 0));
}

}  // namespace nearby
