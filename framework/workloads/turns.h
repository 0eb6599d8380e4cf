// Timed work that takes turns with that of other arms, so that what the machine does meanwhile meets all of them alike.
// The work of every arm is done in as many parts, one part of each in turn; the time of a part is a slice. Time in
// which the others have their turn is not counted.
// Not here: who gives the turns, and how many parts there are (runner/turn_messages, runner/turns_of_arms).
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include <attnlab/api.h>

#include "model/decoder.h"

namespace attnlab::experiment {

/// Work that is going to be timed, once.
struct TimedWork {
  std::int64_t passes = 1;
  std::int64_t layers = 0;  // of all passes; 0: they cannot be cut
  double seconds = 0;       // that it takes, about
  double untimed = 0;       // seconds of what has to be done before it each time, about
};

/// How often it is to be done, and in how many equal parts all together. One of them is a multiple of the other, so
/// that the parts of one arm are alike, and like those of every other arm.
struct TurnPlan {
  std::int32_t repeats = 1;
  std::int32_t parts = 1;
  std::int32_t cuts_passes = 0;  // 1: a turn may end between the layers of a pass
  double seconds = 0;            // once all is done: what the work takes once, as the slices of all arms tell
};

/// Gives the turns. One thread.
class ATTNLAB_API Turns {
 public:
  virtual ~Turns();
  /// Waits for the first turn of this work.
  [[nodiscard]] virtual TurnPlan begin(const TimedWork& work) = 0;
  /// Gives the turn away after a part that took so many seconds, and waits for the next one. After the last part the
  /// plan may have grown: more repeats, cut in the same way.
  [[nodiscard]] virtual TurnPlan pass(double slice_seconds) = 0;
};

/// A stopwatch for passes of a decoder. A pass is what is done between start() and stop().
class ATTNLAB_API PassTimer {
 public:
  /// `turns`: null where the work is not shared out; then nothing but time is taken. Both must outlive this.
  PassTimer(model::Decoder& decoder, Turns* turns);
  ~PassTimer();
  PassTimer(const PassTimer&) = delete;
  PassTimer& operator=(const PassTimer&) = delete;

  void start();
  /// Seconds of the pass, without the turns of others.
  double stop();

  /// Forgets what was done so far: what follows is the rehearsal.
  void rehearse();
  /// What was done until now was a rehearsal. From now on the work is to be done repeats() times: in turns as often as
  /// they say, which may become more while it is done, else so often that it takes `least_seconds`, within
  /// reason: what has to be done each time before it, and is not timed, takes `untimed_seconds`.
  void begin(double least_seconds, double untimed_seconds);
  [[nodiscard]] int repeats() const noexcept { return plan_.repeats; }
  /// Of the rehearsal.
  [[nodiscard]] double seconds() const noexcept { return rehearsed_; }
  /// Seconds of the work, once: without turns the mean over the repeats, with turns as TurnPlan says.
  [[nodiscard]] double seconds_once() const;
  /// Seconds of each part so far; empty where there are no turns.
  [[nodiscard]] const std::vector<double>& slices() const noexcept { return slices_; }

 private:
  using Clock = std::chrono::steady_clock;

  void after_layer();
  void end_slice();

  model::Decoder& decoder_;
  Turns* turns_;
  Clock::time_point began_;  // the part of the pass that runs
  double of_pass_ = 0;       // seconds of the pass before that
  double of_slice_ = 0;      // seconds of the slice in earlier passes and before that
  double rehearsed_ = 0;     // seconds
  std::int64_t layers_of_pass_ = 0;
  std::int64_t layers_ = 0;     // that were run since begin(), or in the rehearsal
  std::int64_t passes_ = 0;     // likewise
  std::int64_t of_repeat_ = 1;  // pieces of one repeat
  std::int64_t pieces_ = 0;     // of all repeats together; 0: a rehearsal
  std::int64_t done_ = 0;       // pieces
  TurnPlan plan_;
  double spent_ = 0;   // seconds since begin()
  bool runs_ = false;  // a pass
  std::vector<double> slices_;
};

}  // namespace attnlab::experiment
