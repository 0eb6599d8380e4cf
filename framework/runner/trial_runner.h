// Runs trials, a process at a time, and keeps what they gave: one file each, written by this process alone once the
// result is whole. Knows which were done before, which arms are wrong, and when to stop.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "report/read/trial_result.h"
#include "runner/process_task.h"
#include "runner/progress.h"
#include "study/plan.h"

namespace attnlab::experiment {

class TrialRunner {
 public:
  /// `superseded_folder` is made once something has to go there.
  TrialRunner(const Plan& plan, std::filesystem::path trials_folder, std::filesystem::path superseded_folder,
              Progress& progress);

  /// Writes the row of every case that an arm is refused in; nothing is started for them.
  void keep_refusals();

  /// Where the arm's weights of this seed are, once it was trained. With a status other than ok there are none: its
  /// cases end with that.
  struct Weights {
    std::string training;  // its id
    std::filesystem::path folder;
    std::string status = "ok", reason;
  };
  void use_weights(std::size_t arm, std::int64_t seed, Weights weights);
  void forget_weights(std::size_t arm, std::int64_t seed) { weights_.erase({arm, seed}); }
  /// The row of a trial that another part of the run has measured.
  void keep_row(const report::TrialResult& result) { keep(result); }
  /// The same of one that is in the folder already.
  void take_row(report::TrialResult result) { results_[result.id] = std::move(result); }
  /// It is to be measured again.
  void forget_row(const std::string& id) { results_.erase(id); }

  /// What of the node is added to every trial (report/read/trial_result.h).
  void name_node(nlohmann::json node) { node_ = std::move(node); }

  /// Takes in what an earlier run left in the folder and this plan needs; only what went well is done.
  void take_done_trials();
  /// The same of one task.
  void take_done_trials(const ProcessTask& task);
  [[nodiscard]] bool is_done(std::size_t arm, std::size_t planned_case, std::int64_t seed, int round) const;

  /// Each result is written before the next trial begins; ends early where the run has to stop. What failed or timed
  /// out in an earlier round of this run is not started again: its row says so.
  /// Tasks of one round that may be held in memory at once: what is timed of them takes turns, arm by arm.
  void run(std::span<const ProcessTask> tasks, const std::string& stage);
  /// The rows of those for which no process would be started: of weights that are not there. Returns the others.
  [[nodiscard]] std::vector<std::size_t> keep_known_ends(const ProcessTask& task);
  /// A second attempt of trials that ended well. Its results are written beside those that count, until settle().
  void run_again(std::span<const ProcessTask> tasks, const std::string& stage);
  /// Where the second attempt counts, it takes the place of the first; what did not end well in it counts in any case.
  /// Both stay on disk.
  void settle(bool second_counts);
  /// The same for figures that are thrown away: nothing is written, and nothing fails.
  [[nodiscard]] std::vector<report::TrialResult> run_discarded(const ProcessTask& task, const std::string& stage);

  /// The result of this trial, if there is one, is ok.
  [[nodiscard]] bool went_well(std::size_t arm, std::size_t planned_case, std::int64_t seed, int round) const;
  /// Interrupted, or a trial did not end well and the experiment says to stop then.
  [[nodiscard]] bool must_stop() const;
  /// A trial of this plan ended otherwise than well, and was not measured again with another end.
  [[nodiscard]] bool has_failed() const;
  void add_measured_seconds(double seconds) noexcept { measured_seconds_ += seconds; }
  /// Of processes and what they measured, from their start to their end.
  [[nodiscard]] double measured_seconds() const noexcept { return measured_seconds_; }
  /// Of all trials of this plan that were ever run, those of an earlier run included.
  [[nodiscard]] const std::map<std::string, report::TrialResult>& results() const noexcept { return results_; }

 private:
  class Task;
  struct TurnsEnd {
    Task* process;
    report::TrialResult result;
    double seconds;  // its own
  };

  /// What ended badly is known by arm, case and seed.
  using Place = std::tuple<std::size_t, std::size_t, std::int64_t>;
  struct BadEnd {
    int round;
    std::string status, reason;
  };

  /// The row of a trial that is not started, since one of an earlier round did not end.
  [[nodiscard]] std::optional<report::TrialResult> not_again(const ProcessTask& task, std::size_t planned_case) const;
  /// Adds what the plan says of the trial; remembers a bad end.
  void complete(report::TrialResult& result, const ProcessTask& task, std::size_t planned_case);
  template <class Keep>
  void run_each(std::span<const ProcessTask> tasks, const std::string& stage, const Keep& keep);
  /// The trials of one case in turns, those that were begun: all of them unless the run has to stop.
  [[nodiscard]] std::vector<TurnsEnd> take_turns(std::span<Task* const> processes, std::size_t planned_case,
                                                 const std::string& stage);
  [[nodiscard]] std::string title(std::size_t planned_case) const;
  void show_start(const ProcessTask& task, std::size_t planned_case, const std::string& stage);
  void keep(const report::TrialResult& result);
  /// The trainings that a case of a trained arm was measured with: its own, and that of the baseline where predictions
  /// are compared. Empty: none.
  [[nodiscard]] std::string trainings_of(std::size_t arm, std::size_t planned_case, std::int64_t seed) const;

  const Plan& plan_;
  std::filesystem::path folder_, superseded_;
  Progress& progress_;
  std::map<std::string, report::TrialResult> results_;  // by id
  std::map<std::string, report::TrialResult> again_;    // second attempts that are not settled, by id
  std::map<Place, BadEnd> bad_ends_;                    // of this run: --resume tries once more
  std::map<std::tuple<std::size_t, std::int64_t, std::size_t>, std::string>
      verdicts_;  // by arm, seed and case: what is wrong; empty: sound
  nlohmann::json node_;
  std::map<std::pair<std::size_t, std::int64_t>, Weights> weights_;  // by arm and seed, of those that are trained
  double measured_seconds_ = 0;
};

}  // namespace attnlab::experiment
