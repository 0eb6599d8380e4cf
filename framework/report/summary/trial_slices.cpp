#include "report/summary/trial_slices.h"

#include <string>

#include "report/read/metrics.h"

namespace attnlab::report {

std::optional<Slices> slices_of(const TrialResult& trial, std::string_view metric) {
  const std::string of(metric == kTimeToFirstToken ? kPrefill : metric);
  const auto slices = trial.details.find("slices");
  if (slices == trial.details.end() || !slices->is_object()) return std::nullopt;
  const auto seconds = slices->find(of);
  const auto together = slices->find("together");
  if (seconds == slices->end() || together == slices->end() || !together->is_string() || !seconds->is_array())
    return std::nullopt;
  Slices found{together->get<std::string>(), {}};
  for (const nlohmann::json& one : *seconds) {
    if (!one.is_number()) return std::nullopt;
    found.seconds.push_back(one.get<double>());
  }
  return found;
}

}  // namespace attnlab::report
