// The law of the backward pass; see laws.cpp.
#pragma once

#include <optional>

#include "conformance/check.h"

namespace attnlab::experiment::conformance {

/// The gradient of every parameter against central differences of the loss, along a direction of its own. Says nothing
/// about caches and storages, and about combinations that are refused for training.
[[nodiscard]] std::optional<Finding> gradients_are_differences(Subject& subject, Kind kind);

}  // namespace attnlab::experiment::conformance
