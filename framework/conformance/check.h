// The conformance kit: laws that every plugin has to keep, tried on the plugin crossed with a representative set of the
// other kinds. `attnlab check` prints one line a law with the measured deviation.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/sanitizers.h"
#include "conformance/subject.h"
#include "registry/registry.h"

namespace attnlab::experiment::conformance {

/// What came of one law on one combination.
struct Finding {
  double deviation = 0;
  double allowed = 0;  // 0: bitwise, or a plain yes or no
  std::string what;    // where it was largest, or what is wrong; empty: nothing to say
  [[nodiscard]] bool holds() const noexcept { return deviation <= allowed; }
};

struct Law {
  const char* name;
  /// None where the law says nothing about the combination.
  std::function<std::optional<Finding>(Subject& subject, Kind kind)> examine;
};

/// One line of the report: a law on a component, its worst finding over all combinations.
struct Verdict {
  std::string law;
  int combinations = 0;  // on which the law says something
  Finding worst = {};
  std::string on = {};  // the combination of the worst finding
};

/// All laws that are about a running model, in the order in which they are printed.
[[nodiscard]] const std::vector<Law>& laws();

/// The subject's cache with so small a budget that the laws see it evict; none where it has no budget in tokens.
[[nodiscard]] std::optional<ComponentChoice> evicting(const Subject& subject);

/// Laws about the options of one component: values outside the declared bounds are refused.
[[nodiscard]] std::optional<Finding> options_are_bounded(const Registry& registry, const Descriptor& component);

/// Seconds that a law may take on all combinations of a component: some hundred times what it takes.
inline constexpr double kLawSeconds = 30 * kTimesSlower;

/// Every law on one component, each in a process of its own: one that crashes, ends its process or takes longer than
/// `seconds` is broken, and the others are tried all the same. What cannot even be made is a verdict too. Forks, so no
/// threads may run yet.
[[nodiscard]] ATTNLAB_API std::vector<Verdict> check(const Registry& registry, const Descriptor& component,
                                                     double seconds = kLawSeconds);

}  // namespace attnlab::experiment::conformance
