// The derivative of attention whose weights are made of whole rows of scores (attend_rows.h).
#pragma once

#include "core/attend_backward.h"

namespace attnlab {

/// What `attend_backward` does where AttendArgs::needs_whole_rows.
void attend_rows_backward(const AttendArgs& args, TensorView<const float, 2> log_sum, const AttendGradients& gradients);

}  // namespace attnlab
