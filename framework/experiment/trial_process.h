// A process of its own for the trials of one arm, so that a crash, a leak or a peak of memory belongs to that arm alone.
// It is a fork of the planning process, which has started no threads: plugins and plan are there already. It may live
// across rounds, idle while others measure.
#pragma once

#include <sys/types.h>

#include <string>

#include "experiment/plan.h"
#include "report/trial_result.h"

namespace attnlab::experiment {

class TrialProcess {
 public:
  /// Forks; the child makes the arm's model at its first trial. Error where no process can be had.
  TrialProcess(const Plan& plan, std::size_t arm, std::filesystem::path trials_folder);
  ~TrialProcess();
  TrialProcess(const TrialProcess&) = delete;
  TrialProcess& operator=(const TrialProcess&) = delete;

  /// Runs one trial to its end; the child has written its result file. Returns an empty text, or why the process died:
  /// its signal and the last lines that it wrote.
  [[nodiscard]] std::string run(std::size_t planned_case, int round);
  [[nodiscard]] bool is_alive() const noexcept { return pid_ > 0; }

 private:
  [[nodiscard]] std::string cause_of_death();

  pid_t pid_ = -1;
  int socket_ = -1;
  int stderr_file_ = -1;
};

/// The result's frame: who was measured in which round.
[[nodiscard]] report::TrialResult trial_frame(const Plan& plan, std::size_t arm, std::size_t planned_case, int round);

/// How arms name their components in results: id, with the options that were written.
[[nodiscard]] std::string component_text(const LayeredChoice& choice);

}  // namespace attnlab::experiment
