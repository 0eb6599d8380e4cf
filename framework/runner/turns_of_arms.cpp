// Trials of one case in turns: every arm's process does a part of its timed work, then the next one's, in an order that
// is drawn anew for each part. A part is a few tens of milliseconds, so that whatever the machine does meanwhile meets
// all arms. While one has its turn the others wait, also for what is not timed.
#include <algorithm>
#include <chrono>
#include <vector>

#include <fmt/format.h>

#include <attnlab/random.h>

#include "runner/interrupt.h"
#include "runner/slices.h"
#include "runner/trial_task.h"

namespace attnlab::experiment {
namespace {

// Of a trial's limit, which is for what hangs: the rest is for what is not timed.
constexpr double kShareOfLimit = 0.4;

}  // namespace

std::vector<TrialRunner::TurnsEnd> TrialRunner::take_turns(std::span<Task* const> processes, std::size_t planned_case,
                                                           const std::string& stage) {
  std::vector<std::optional<report::TrialResult>> results;
  for (Task* process : processes) {
    // Those that have begun are brought to their end.
    const bool has_failed = !results.empty() && results.back() && report::is_fault(results.back()->status);
    if (interrupted() != 0 || (has_failed && plan_.spec.stops_on_error)) break;
    show_start(process->task(), planned_case, stage);
    results.push_back(process->begin(planned_case));
  }
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const std::string together = fmt::format("{}", std::chrono::duration_cast<std::chrono::microseconds>(now).count());
  SplitMix64 random(static_cast<std::uint64_t>(plan_.spec.seed),
                    static_cast<std::uint64_t>(processes.front()->task().round));
  std::vector<std::size_t> order;
  const auto still_running = [&] {
    order.clear();
    for (std::size_t i = 0; i < results.size(); ++i)
      if (!results[i]) order.push_back(i);
    return !order.empty();
  };
  if (results.size() > 1) progress_.start(fmt::format("{} arms in turns", results.size()), title(planned_case), stage);
  while (still_running()) {  // one piece of timed work after another: a prompt, then the tokens after it
    std::vector<TimedWork> works;
    for (const std::size_t i : order) works.push_back(processes[i]->work());
    const double most = std::min(kMostTimedSeconds, kShareOfLimit * plan_.cases[planned_case].limit_seconds);
    TurnPlan plan = first_plan(works, most);
    const double untimed = std::ranges::max(works, {}, &TimedWork::untimed).untimed;
    std::vector<std::vector<double>> slices(results.size());  // empty of an arm that has ended
    const auto turn_of = [&](std::size_t i) {
      results[i] = processes[i]->take_turn(plan);
      if (results[i])
        slices[i].clear();
      else if (const double slice = processes[i]->slice(); slice > 0)
        slices[i].push_back(slice);
    };
    for (int part = 0; part < plan.parts; ++part) {
      random.shuffle(order);
      for (const std::size_t i : order)
        if (!results[i]) turn_of(i);
      if (part + 1 == plan.parts && interrupted() == 0) plan = grown(plan, slices, untimed, most);
    }
    const std::vector<double> seconds = seconds_once(plan, slices);
    for (const std::size_t i : order)  // each hears that there is no more of this work, and what it takes
      if (!results[i]) {
        plan.seconds = seconds[i];
        turn_of(i);
      }
  }
  std::vector<TurnsEnd> ends;
  for (std::size_t i = 0; i < results.size(); ++i) {
    // Slices are pairs of those that were measured together, and of nothing else.
    if (results[i]->details.contains("slices")) results[i]->details["slices"]["together"] = together;
    ends.push_back({processes[i], std::move(*results[i]), processes[i]->seconds()});
  }
  return ends;
}

}  // namespace attnlab::experiment
