// One process of a TrialRunner, with what it is to measure: started when it is first needed and again when it died.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <tuple>

#include "runner/trial_process.h"
#include "runner/trial_runner.h"
#include "runner/weights_together.h"

namespace attnlab::experiment {

class TrialRunner::Task {
 public:
  /// One of several tasks, by its index. All of it must outlive this.
  Task(TrialRunner& runner, std::span<const ProcessTask> tasks, std::size_t index, WeightsTogether& weights)
      : runner_(runner), task_(tasks[index]), index_(index), weights_(weights) {}
  ~Task();
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;

  [[nodiscard]] const ProcessTask& task() const noexcept { return task_; }

  /// Alone, from its start to its end.
  [[nodiscard]] report::TrialResult measure(std::size_t planned_case);

  /// In turns with others: until it waits for its first turn (nothing), or has ended.
  [[nodiscard]] std::optional<report::TrialResult> begin(std::size_t planned_case);
  [[nodiscard]] std::optional<report::TrialResult> take_turn(const TurnPlan& plan);
  /// That it waits for.
  [[nodiscard]] const TimedWork& work() const { return process_->work(); }
  /// The row of a trial for which no process is started, as what is wrong is known.
  [[nodiscard]] std::optional<report::TrialResult> known_end(std::size_t planned_case) const;
  /// Seconds of its last turn that count.
  [[nodiscard]] double slice() const { return process_->slice(); }
  /// Since begin(), of its own.
  [[nodiscard]] double seconds() const noexcept { return seconds_; }

 private:
  using Key = std::tuple<std::size_t, std::int64_t, std::size_t>;

  [[nodiscard]] std::optional<report::TrialResult> make_ready(std::size_t planned_case);
  void start_process(std::size_t planned_case);
  [[nodiscard]] std::function<void()> waits() const;
  /// Takes the time of it, and lets a process go that has died.
  template <class Call>
  auto timed(const Call& call);

  TrialRunner& runner_;
  const ProcessTask& task_;
  const std::size_t index_;
  WeightsTogether& weights_;
  std::unique_ptr<TrialProcess> process_;
  std::optional<report::TrialResult> no_start_;
  double seconds_ = 0;
};

}  // namespace attnlab::experiment
