// The derivative of attention whose weights are made of whole rows of scores (attend_rows.h).
#pragma once

#include "core/attend_backward.h"

namespace attnlab {

/// What `attend_backward` does where `row_weighting` is given.
void attend_rows_backward(const AttendArgs& args, const AttendGradients& gradients);

}  // namespace attnlab
