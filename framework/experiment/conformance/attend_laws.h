// Laws about what happens inside `attend`, watched from outside: agreement with the double-precision reference, mass.
#pragma once

#include "experiment/conformance/check.h"

namespace attnlab::experiment::conformance {

[[nodiscard]] std::optional<Finding> agrees_with_reference(Subject& subject, Kind kind);
[[nodiscard]] std::optional<Finding> mass_sums_up(Subject& subject, Kind kind);
/// What components declare (Traits) against what they do.
[[nodiscard]] std::optional<Finding> traits_are_true(Subject& subject, Kind kind);

}  // namespace attnlab::experiment::conformance
