#include "runner/enough_rounds.h"

#include <vector>

#include <fmt/format.h>

#include "report/summary/stopping.h"
#include "study/planned_study.h"

namespace attnlab::experiment {

std::optional<std::string> enough_rounds(const Plan& plan, const std::map<std::string, report::TrialResult>& results,
                                         int rounds) {
  const Repeats& repeats = plan.spec.repeats;
  if (repeats.until == 0 || rounds < repeats.min) return std::nullopt;
  const report::StudyLayout layout = layout_of(plan, rounds);
  std::vector<report::TrialResult> trials;
  for (const std::string& id : layout.trials)
    if (const auto found = results.find(id); found != results.end()) trials.push_back(found->second);
  const report::Summary summary = report::summarise(report::completed(layout, trials), trials);
  const bool narrow = report::is_narrow_enough(summary, repeats.until);
  if (!narrow && rounds < repeats.max) return std::nullopt;
  const std::string widest = report::widest_interval(summary);
  return fmt::format(
      "{} after {} of at most {} rounds{}",
      narrow ? fmt::format("every interval was within +- {:.3g} %", 100 * repeats.until) : "the most rounds were run",
      rounds, repeats.max, widest.empty() ? "" : ": " + widest);
}

}  // namespace attnlab::experiment
