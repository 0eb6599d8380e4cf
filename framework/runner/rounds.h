// Paired rounds: every arm once a round, with each seed, in an order that the study's seed decides. A warm-up comes
// before the first; a round that others disturbed is measured a second time, and the quieter attempt counts.
#pragma once

#include <string>
#include <vector>

#include "runner/disturbance.h"
#include "runner/progress.h"
#include "runner/roof_probes.h"
#include "runner/trial_runner.h"
#include "runner/warmup.h"
#include "study/plan.h"

namespace attnlab::experiment {

class Rounds {
 public:
  /// All must outlive this.
  Rounds(const Plan& plan, TrialRunner& trials, RoofProbes& roofs, Progress& progress);

  /// Of an earlier run of the same study.
  void take(std::vector<RoundRecord> records, const WarmupRecord& warmup);
  [[nodiscard]] const std::vector<RoundRecord>& records() const noexcept { return records_; }
  [[nodiscard]] const WarmupRecord& warmup() const noexcept { return warmup_; }

  /// Cases that are still to be measured of an arm that runs: those of a round, or those that no repetition changes.
  [[nodiscard]] ProcessTask task_for(std::size_t arm, std::int64_t seed, int round, bool deterministic) const;
  /// Every arm with every seed that has something left to do, in the order of this round.
  [[nodiscard]] std::vector<ProcessTask> tasks_of(int round) const;
  /// Shown as still to come; a negative sign: not any more.
  void expect(const std::vector<ProcessTask>& tasks, int sign = 1);

  /// The timed cases of every arm of these tasks, with one seed. What does not end well is left to the round, where it
  /// is a row.
  void warm_up(std::vector<ProcessTask> tasks);
  void run(const std::vector<ProcessTask>& tasks, int round);

  /// "speed q512", as a reader knows the case.
  [[nodiscard]] std::string title(std::size_t planned_case) const;
  /// Which seed, where there are several.
  [[nodiscard]] std::string seed_text(const ProcessTask& task) const;

 private:
  [[nodiscard]] bool is_timed(std::size_t planned_case) const { return plan_.cases[planned_case].is_timed; }
  [[nodiscard]] std::vector<ProcessTask> that_went_well(std::vector<ProcessTask> tasks) const;
  void attempt(const std::vector<ProcessTask>& tasks, int round, int number);

  const Plan& plan_;
  TrialRunner& trials_;
  RoofProbes& roofs_;
  Progress& progress_;
  std::vector<RoundRecord> records_;
  WarmupRecord warmup_;
  int vain_repeats_ = 0;
};

}  // namespace attnlab::experiment
