#include "choices/arm.h"

namespace attnlab::experiment {

const LayeredChoice& Arm::choice(Kind kind) const noexcept {
  return kind == Kind::attention ? attention : kind == Kind::position ? position : cache;
}

}  // namespace attnlab::experiment
