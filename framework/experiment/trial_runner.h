// Runs trials, a process at a time, and keeps what they gave: one file each, written by this process alone once the
// result is whole. Knows which were done before, which arms are wrong, and when to stop.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "experiment/plan.h"
#include "experiment/progress.h"
#include "experiment/trial_process.h"
#include "report/trial_result.h"

namespace attnlab::experiment {

/// What one process is started for.
struct ProcessTask {
  std::size_t arm = 0;
  std::int64_t seed = 0;
  int round = 0;
  std::vector<std::size_t> cases;  // indices into the plan's
};

class TrialRunner {
 public:
  TrialRunner(const Plan& plan, std::filesystem::path trials_folder, Progress& progress);

  /// Takes in what an earlier run left in the folder and this plan needs; only what went well is done.
  void take_done_trials();
  [[nodiscard]] bool is_done(std::size_t arm, std::size_t planned_case, std::int64_t seed, int round) const;

  /// Each result is written before the next trial begins; ends early where the run has to stop.
  void run(const ProcessTask& task, const std::string& stage);
  /// The same for figures that are thrown away: nothing is written, and nothing fails.
  [[nodiscard]] std::vector<report::TrialResult> run_discarded(const ProcessTask& task, const std::string& stage);

  /// Interrupted, or a trial did not end well and the experiment says to stop then.
  [[nodiscard]] bool must_stop() const;
  /// A trial of this plan ended otherwise than well, and was not measured again with another end.
  [[nodiscard]] bool has_failed() const;
  /// Of processes and what they measured, from their start to their end.
  [[nodiscard]] double measured_seconds() const noexcept { return measured_seconds_; }
  /// Of all trials of this plan that were ever run, those of an earlier run included.
  [[nodiscard]] const std::map<std::string, report::TrialResult>& results() const noexcept { return results_; }

 private:
  class Task;

  void keep(const report::TrialResult& result);

  const Plan& plan_;
  std::filesystem::path folder_;
  Progress& progress_;
  std::map<std::string, report::TrialResult> results_;  // by id
  std::map<std::tuple<std::size_t, std::int64_t, std::size_t>, std::string>
      verdicts_;  // by arm, seed and case: what is wrong; empty: sound
  double measured_seconds_ = 0;
};

}  // namespace attnlab::experiment
