#include "runner/rounds.h"

#include <algorithm>
#include <span>
#include <utility>

#include <attnlab/random.h>
#include <fmt/format.h>

#include "report/read/format.h"
#include "runner/together.h"

namespace attnlab::experiment {
namespace {

// After so many repeated rounds that were disturbed again, the machine is as it is, and repeating only takes time.
constexpr int kVainRepeats = 2;

}  // namespace

Rounds::Rounds(const Plan& plan, TrialRunner& trials, RoofProbes& roofs, Progress& progress)
    : plan_(plan), trials_(trials), roofs_(roofs), progress_(progress) {
  warmup_.most = plan.spec.warmup;
}

void Rounds::take(std::vector<RoundRecord> records, const WarmupRecord& warmup) {
  records_ = std::move(records);
  warmup_ = warmup;
}

ProcessTask Rounds::task_for(std::size_t arm, std::int64_t seed, int round, bool deterministic) const {
  ProcessTask task{arm, seed, round, {}};
  for (std::size_t index = 0; index < plan_.cases.size(); ++index)
    if (index != plan_.train_case() && plan_.arms[arm].runs(index) &&
        plan_.cases[index].deterministic == deterministic && !trials_.is_done(arm, index, seed, round))
      task.cases.push_back(index);
  return task;
}

std::vector<ProcessTask> Rounds::tasks_of(int round) const {
  std::vector<ProcessTask> tasks;
  for (std::size_t arm = 0; arm < plan_.arms.size(); ++arm)
    for (const std::int64_t seed : plan_.spec.seeds) tasks.push_back(task_for(arm, seed, round, false));
  SplitMix64(static_cast<std::uint64_t>(plan_.spec.seed), static_cast<std::uint64_t>(round)).shuffle(tasks);
  std::erase_if(tasks, [](const ProcessTask& task) { return task.cases.empty(); });
  return tasks;
}

std::string Rounds::title(std::size_t planned_case) const {
  return report::case_title({plan_.cases[planned_case].workload_name, plan_.cases[planned_case].label});
}

std::string Rounds::seed_text(const ProcessTask& task) const {
  return plan_.spec.seeds.size() > 1 ? fmt::format("  seed {}", task.seed) : "";
}

void Rounds::expect(const std::vector<ProcessTask>& tasks, int sign) {
  for (const ProcessTask& task : tasks)
    for (const std::size_t index : task.cases) progress_.expect(title(index), sign);
}

void Rounds::warm_up(std::vector<ProcessTask> tasks) {
  for (ProcessTask& task : tasks) std::erase_if(task.cases, [&](std::size_t index) { return !is_timed(index); });
  std::erase_if(tasks, [&](const ProcessTask& task) { return task.cases.empty() || task.seed != plan_.spec.seed; });
  warmup_ = {.most = plan_.spec.warmup};
  if (tasks.empty()) return;
  WarmupRound before;
  while (warmup_.rounds < warmup_.most && !warmup_.agreed && !tasks.empty() && !trials_.must_stop()) {
    WarmupRound round;
    const std::string stage = fmt::format("warm-up {}/{}", warmup_.rounds + 1, warmup_.most);
    for (ProcessTask& task : tasks) {
      std::vector<std::size_t> sound;
      const std::vector<report::TrialResult> trials = trials_.run_discarded(task, stage);
      for (std::size_t i = 0; i < trials.size(); ++i) {
        add_throughputs(round, trials[i]);
        if (trials[i].is_ok()) sound.push_back(task.cases[i]);
      }
      task.cases = std::move(sound);
    }
    std::erase_if(tasks, [](const ProcessTask& task) { return task.cases.empty(); });
    if (warmup_.rounds++ > 0) {
      const Agreement agreement = compare(before, round);
      warmup_.difference = agreement.difference;
      warmup_.agreed = agreement.agrees();
    }
    before = std::move(round);
  }
}

// A disturbed round is measured a second time, and the quieter attempt counts, as a whole.
void Rounds::run(const std::vector<ProcessTask>& tasks, int round) {
  attempt(tasks, round, 1);
  if (!records_.back().disturbed || vain_repeats_ == kVainRepeats || trials_.must_stop()) return;
  const std::vector<ProcessTask> sound = that_went_well(tasks);
  const bool has_timed = std::any_of(sound.begin(), sound.end(), [&](const ProcessTask& task) {
    return std::any_of(task.cases.begin(), task.cases.end(), [&](std::size_t index) { return is_timed(index); });
  });
  if (!has_timed) return;
  const std::size_t first = records_.size() - 1;
  records_[first].repeated = true;
  expect(sound);
  attempt(sound, round, 2);
  RoundRecord& second = records_.back();
  const bool is_whole = !trials_.must_stop();
  second.counts = is_whole && is_quieter(second, records_[first]);
  records_[first].counts = !second.counts;
  trials_.settle(second.counts);
  vain_repeats_ = second.disturbed ? vain_repeats_ + 1 : 0;
}

std::vector<ProcessTask> Rounds::that_went_well(std::vector<ProcessTask> tasks) const {
  for (ProcessTask& task : tasks)
    std::erase_if(task.cases,
                  [&](std::size_t index) { return !trials_.went_well(task.arm, index, task.seed, task.round); });
  std::erase_if(tasks, [](const ProcessTask& task) { return task.cases.empty(); });
  return tasks;
}

void Rounds::attempt(const std::vector<ProcessTask>& tasks, int round, int number) {
  const DisturbanceWatch watch;
  const std::string stage = fmt::format("round {}/{}{}", round + 1, plan_.spec.repeats.max, number > 1 ? " again" : "");
  for (std::span<const ProcessTask> left = tasks; !left.empty() && !trials_.must_stop();) {
    roofs_.probe_if_old();
    const std::span<const ProcessTask> together = left.first(measured_together(plan_, left));
    left = left.subspan(together.size());
    const std::string of = stage + (together.size() == 1 ? seed_text(together.front()) : "");
    if (number == 1)
      trials_.run(together, of);
    else
      trials_.run_again(together, of);
  }
  records_.push_back(watch.record(round, number));
}

}  // namespace attnlab::experiment
