// Arms as an experiment writes them: a grid is multiplied out, a list is taken as it is, exclusions drop cells of the
// grid, and every arm gets the shortest name that tells it from the others. Not here: whether the components of an arm
// fit together (the registry knows), and values that come from the model.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <attnlab/api.h>

#include "choices/arm.h"
#include "config/node.h"
#include "config/problem_list.h"

namespace attnlab::experiment {

/// Some of the kinds, as `exclude` and `baseline` name them; or an arm's name.
struct ATTNLAB_API ArmPattern {
  std::optional<std::string> name;
  std::optional<LayeredChoice> attention;
  std::optional<LayeredChoice> position;
  std::optional<LayeredChoice> cache;
  std::optional<config::Node> model;  // a map: every key of it is so in the arm's own
  std::optional<ElementType> weights;
  std::optional<Arithmetic> compute;

  [[nodiscard]] const std::optional<LayeredChoice>& choice(Kind kind) const noexcept;
  [[nodiscard]] bool matches(const Arm& arm) const;
};

/// `node` is `arms:`. In the order of the YAML; the first key of a grid changes slowest.
[[nodiscard]] ATTNLAB_API std::vector<Arm> read_arms(const config::Node& node, const ComponentLookup& lookup,
                                                     const ArmDefaults& defaults, config::ProblemList& problems);

/// `node` is `baseline:`. None where a problem was added.
[[nodiscard]] ATTNLAB_API std::optional<ArmPattern> read_pattern(const config::Node& node, std::string_view section,
                                                                 const ComponentLookup& lookup,
                                                                 config::ProblemList& problems);

/// The arms whose name or one of whose tags the glob matches (`*`, `?`, `[abc]`; `*` takes `/` too).
[[nodiscard]] ATTNLAB_API std::vector<std::size_t> select_arms(const std::vector<Arm>& arms, const std::string& glob);

/// For the message that a glob matches nothing: the arms that it was probably meant for, or those that there are.
[[nodiscard]] ATTNLAB_API std::string nearest_arms(const std::vector<Arm>& arms, const std::string& glob);

/// Gives the arms without a name one, and reports names that two arms share.
void name_arms(std::vector<Arm>& arms, config::ProblemList& problems);

}  // namespace attnlab::experiment
