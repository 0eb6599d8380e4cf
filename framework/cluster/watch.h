// What has become of the jobs of a study: results as they appear in its folder, and what Slurm says of those that leave
// none. Everything is found in the folder and asked of Slurm, so that a watcher may die at any moment and another go
// on.
//
// The folder may be on a network file system. A rename is atomic there, but other machines may see it a while later:
// a job that has ended well is waited for until its results can be seen. Clocks differ: only this machine's steady
// clock is used, never the time of a file. Locks between machines are not needed: each file has one writer, or writers
// that write the same.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "cluster/slurm.h"
#include "cluster/submission.h"
#include "cluster/unit.h"
#include "runner/progress.h"
#include "runner/training_runner.h"
#include "runner/trial_runner.h"
#include "study/plan.h"

namespace attnlab::cluster {

class Watch {
 public:
  /// All must outlive this.
  Watch(const experiment::Plan& plan, const StudyUnits& study, std::filesystem::path results,
        experiment::TrialRunner& trials, experiment::TrainingRunner& trainings, experiment::Progress& progress);

  /// Units of a submission whose results are awaited; those of the array's other elements are not.
  void await(const Submission& submission, const std::vector<std::size_t>& units);

  /// One look: takes what has appeared, asks Slurm, and writes rows for what has ended without a result.
  void look();
  /// Something is awaited still.
  [[nodiscard]] bool is_waiting() const { return waiting_ > 0; }
  /// How long until the next look: a look at many jobs takes a while itself.
  [[nodiscard]] std::chrono::milliseconds pause() const { return pause_; }

  /// Job ids of the arrays of which something is awaited.
  [[nodiscard]] std::vector<std::string> live_arrays() const;
  [[nodiscard]] int running() const noexcept { return running_; }
  [[nodiscard]] int pending() const noexcept { return pending_; }

 private:
  using Clock = std::chrono::steady_clock;

  struct Awaited {
    Unit unit;
    std::filesystem::path submission;
    std::size_t array = 0;  // index into arrays_
    int task = 0;
    std::size_t left = 0;                   // of what is done once: trials that are still to come
    std::unordered_set<std::string> taken;  // of a round: trials that have come
    bool is_over = false;
    std::optional<JobState> state;           // as it was last seen
    std::optional<Clock::time_point> ended;  // since when Slurm has it no more among what runs or waits
  };
  struct Array {
    std::string name, job;
    std::size_t waiting = 0;
  };

  void take_results();
  /// False where it is not to be had yet.
  bool take_trial(const std::string& id, Awaited& of);
  void take_round(Awaited& of);
  void ask_slurm();
  void settle_ended();
  void ask_history(const std::vector<Awaited*>& due);
  /// Rows in the place of what the unit has not left; of a training its record.
  void give_up(Awaited& unit);
  void give_up_training(Awaited& unit);
  [[nodiscard]] static std::string status_of(const Awaited& unit);
  [[nodiscard]] std::string reason_of(const Awaited& unit) const;
  void end_unit(Awaited& unit);
  void show();

  const experiment::Plan& plan_;
  const StudyUnits& study_;
  std::filesystem::path results_;
  experiment::TrialRunner& trials_;
  experiment::TrainingRunner& trainings_;
  experiment::Progress& progress_;
  std::vector<Awaited> awaited_;
  std::vector<Array> arrays_;
  std::unordered_map<std::string, std::size_t> by_trial_;    // id to awaited_
  std::unordered_map<std::string, std::size_t> by_element_;  // "<array name> <task>" to awaited_
  std::unordered_set<std::string> seen_;                     // names of files in trials/
  std::size_t waiting_ = 0;
  int running_ = 0, pending_ = 0;
  bool was_deaf_ = false, has_ended_ = false;
  std::chrono::milliseconds pause_{0};
  std::string shown_;
  std::string held_by_;  // why jobs wait, where it is not for their turn
  Clock::time_point last_end_ = Clock::now();
};

}  // namespace attnlab::cluster
