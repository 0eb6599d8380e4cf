// Laws about the inside of a forward pass, tested with other kinds of steps: agreement of every step with its slow
// form, and attention mass.
#pragma once

#include "conformance/check.h"

namespace attnlab::experiment::conformance {

/// Where everything that takes part in the attention is known to the kit; the other law says the rest.
[[nodiscard]] std::optional<Finding> agrees_with_slow_reference(Subject& subject, Kind kind);
/// Where formulas of plugins take part (rotation, bias, masks, selection): they are asked for one score or one row at a
/// time, so what is found is that they contradict themselves, not that they are wrong.
[[nodiscard]] std::optional<Finding> is_self_consistent(Subject& subject, Kind kind);
[[nodiscard]] std::optional<Finding> mass_sums_up(Subject& subject, Kind kind);
/// What components declare (Traits) against what they do.
[[nodiscard]] std::optional<Finding> traits_are_true(Subject& subject, Kind kind);

}  // namespace attnlab::experiment::conformance
