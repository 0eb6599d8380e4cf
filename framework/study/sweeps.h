// What a grid may write where an option takes one value: several of them. `{range: ...}` counts, a list names each, and
// `zip:` moves options together; the choice is written out once for every combination. Not here: ranges themselves
// (config/ranges), and lists that are one value (an option of type `reals`).
#pragma once

#include <optional>
#include <vector>

#include "choices/component_choice.h"
#include "config/node.h"
#include "config/problem_list.h"

namespace attnlab::experiment {

struct Sweep {
  std::vector<config::Node> choices;  // the first option of the text changes slowest; none where a problem was added
  std::optional<config::Mark> first;  // where the first range, list or zip stands; none where nothing varies
};

/// `node` is a component with its options (and `layers:`), as a grid names it. Components that are not known vary in
/// nothing but ranges: the code that reads them reports what is wrong.
[[nodiscard]] Sweep expand_choice(Kind kind, const config::Node& node, const ComponentLookup& lookup,
                                  config::ProblemList& problems);

/// The same for a map of kinds, as `exclude` names arms: {attention: ..., cache: ...}.
[[nodiscard]] Sweep expand_pattern(const config::Node& node, const ComponentLookup& lookup,
                                   config::ProblemList& problems);

}  // namespace attnlab::experiment
