// A separate process for the trials of one arm in one round, so that a crash, a leak or a peak of memory affects that
// arm alone, and so that properties that are fixed for a process (layout, page placement) differ from round to round.
// It is a fork of the planning process, which has started no threads: plugins and plan are loaded already. This file is
// the parent's side, which enforces the limits. A process that gets no further request is killed, and it ends with its
// parent.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "report/read/trial_result.h"
#include "runner/trial_worker.h"
#include "study/plan.h"
#include "workloads/turns.h"

namespace attnlab::experiment {

/// The status of a training that was ended because the run is interrupted; never written.
inline constexpr const char* kInterrupted = "interrupted";

class TrialProcess {
 public:
  /// Error where no process can be had.
  TrialProcess(const Plan& plan, const TrialStart& start);
  ~TrialProcess();
  TrialProcess(const TrialProcess&) = delete;
  TrialProcess& operator=(const TrialProcess&) = delete;

  /// Waits for the answer, within the limits of a trial, and calls `waits` from time to time meanwhile, at once for the
  /// first. A process that dies or has to be killed gives a result too: with the signal or the exit code, and the last
  /// that it wrote.
  [[nodiscard]] report::TrialResult ask(const TrialRequest& request, const std::function<void()>& waits);
  /// A measurement whose timed work takes turns with that of other processes. Nothing: it waits for a turn, of the work
  /// that `work` names.
  [[nodiscard]] std::optional<report::TrialResult> begin(TrialRequest request, const std::function<void()>& waits);
  /// Gives it its turn, until it waits for the next one or has ended. The
  /// time of others is no part of its limits.
  [[nodiscard]] std::optional<report::TrialResult> take_turn(const TurnPlan& plan, const std::function<void()>& waits);
  [[nodiscard]] const TimedWork& work() const noexcept { return work_; }
  /// Seconds of its last turn that count.
  [[nodiscard]] double slice() const noexcept { return slice_; }
  [[nodiscard]] bool is_alive() const noexcept { return pid_ > 0; }

 private:
  using Clock = std::chrono::steady_clock;

  /// What the trial is given.
  struct Patience {
    double seconds;
    Clock::time_point deadline;
    bool ends_when_interrupted;  // a training, which goes on from its last kept state
    const std::function<void()>& waits;
  };

  /// Sends `count` bytes and waits; nothing: it waits for a turn.
  [[nodiscard]] std::optional<report::TrialResult> exchange(const void* bytes, std::size_t count,
                                                            const std::function<void()>& waits);
  bool receive(const Patience& patience, std::string& text, report::TrialResult& result);
  [[nodiscard]] int wait_for_end();
  [[nodiscard]] std::string cause_of_death();
  [[nodiscard]] std::string last_words() const;
  void kill_for(report::TrialResult& result, std::string status, std::string reason);

  const Plan& plan_;
  TrialStart start_;
  pid_t pid_ = -1;
  int socket_ = -1;
  int output_ = -1;          // a file in memory: what the process writes on stdout and stderr
  TrialRequest request_;     // that it is busy with
  double left_seconds_ = 0;  // of its limit
  TimedWork work_;
  double slice_ = 0;
};

}  // namespace attnlab::experiment
