// The roof, measured in a process of its own: its threads and its memory are gone before the next trial's process is
// forked from this one.
#pragma once

#include "machine/roof.h"

namespace attnlab::experiment {

/// measure_roof() in a child. Error where it has none to give.
[[nodiscard]] RoofProbe measure_roof_apart(int threads, double seconds_budget);

}  // namespace attnlab::experiment
