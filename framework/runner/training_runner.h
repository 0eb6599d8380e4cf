// Runs the trainings of a study, a process at a time, before anything is measured: the weights that arms are measured
// with, a row for every arm and seed, and of several learning rates the best. What an earlier run has finished is not
// trained again, and what it had begun goes on from its last kept state.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "report/read/training_record.h"
#include "runner/progress.h"
#include "runner/trial_runner.h"
#include "study/plan.h"

namespace attnlab::experiment {

class TrainingRunner {
 public:
  /// `results`: the folder of the run. Rows and weights are handed to `trials`.
  TrainingRunner(const Plan& plan, std::filesystem::path results, TrialRunner& trials, Progress& progress);

  /// As TrialRunner::name_node.
  void name_node(nlohmann::json node) { node_ = std::move(node); }

  /// It has ended, and not by a fault; of one that ended well the weights are there.
  [[nodiscard]] bool is_done(const PlannedTraining& training) const;
  /// Trials that are shown as still to come.
  void expect();
  /// Until all are done, or the run has to stop.
  void run();
  /// One of the plan's, where it is not done; whether it has come to an end that is no fault. Leaves its record; rows
  /// are written when all have ended.
  [[nodiscard]] bool run_one(std::size_t training);
  /// Hands the weights of what has ended to the trials, and with `keep_rows` writes their rows.
  void take_ended(bool keep_rows);

 private:
  // Leaves a record, unless the run is interrupted.
  void train(std::size_t training);
  void take_record(const PlannedTraining& training);
  void show_step(const PlannedTraining& training);
  // The rows of arms whose model cannot be made.
  void keep_failed_arms();
  [[nodiscard]] bool can_settle(const TrainingGroup& group) const;
  // Of trainings that have ended: the rate that is kept, the rows of its arms, their weights.
  void settle(const TrainingGroup& group, bool keep_rows);
  [[nodiscard]] double best_rate(const TrainingGroup& group) const;
  [[nodiscard]] report::TrialResult row_of(std::size_t arm, const PlannedTraining& training,
                                           const report::TrainingRecord& record) const;

  const Plan& plan_;
  std::filesystem::path results_;
  TrialRunner& trials_;
  Progress& progress_;
  nlohmann::json node_;
  std::map<std::string, report::TrainingRecord> records_;  // by id
};

}  // namespace attnlab::experiment
