// Checks that an arm computes what its components declare. A case is fed as it will be measured, with its contexts, its
// shares of them and its phases, through steps that are each executed a second time in double precision
// (CheckingSteps). This is done once for every arm and case, before it is measured: a trial with wrong output has no
// timings. What a variant computes between its steps (a recurrent state) is only checked for NaN and infinities. The
// cost is bounded: only some numbers of a call are computed a second time, only two of several equal sequences are fed,
// and the rows of the beginning of a long prompt are put into the caches without running the model. Not here: the laws
// of plugins (conformance), which take minutes.
#pragma once

#include <optional>
#include <span>
#include <string>

#include <attnlab/api.h>

#include "assembly/case_feeding.h"
#include "model/decoder.h"

namespace attnlab::experiment {

/// The largest error that passes, relative to the largest output of the same step. Attention is computed anew from rows
/// as they are held, so that a coarse storage is no error: 345 arms of all kinds and storages with random weights,
/// head_dim 16 and 64, were within 7e-7. A trained model may have scores in the hundreds, whose rounding in f32 is what
/// is allowed here; a row, a mask or a position that is off costs per cents.
inline constexpr double kArmTolerance = 1e-3;

/// What is wrong with the arm's output in one case; none: nothing was found. Error where a cache cannot be made for it.
[[nodiscard]] ATTNLAB_API std::optional<std::string> check_arm(model::Decoder& decoder,
                                                               std::span<const CaseFeeding> feedings,
                                                               bool allow_nonfinite);

}  // namespace attnlab::experiment
