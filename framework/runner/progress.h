// What a run shows while it goes on: each trial with what it found once it has ended, and what is running meanwhile. On
// a terminal these are two lines that are written over in place: a bar with the trial that ended last, and the one that
// runs. Elsewhere they are plain lines, of what is running no more than one a second. Nothing where it is to be quiet
// (then only what went wrong, on stderr).
#pragma once

#include <chrono>
#include <map>
#include <string>

#include <attnlab/api.h>

#include "report/read/trial_result.h"

namespace attnlab::experiment {

class Progress {
 public:
  explicit Progress(bool quiet);

  /// Trials of a case that are still to come; negative where some will not.
  void expect(const std::string& what, int trials);
  /// `what`: the case; `stage`: "round 2/7", "warm-up 1/3".
  void start(const std::string& arm, const std::string& what, const std::string& stage);
  /// How far the trial that runs has come.
  void note(const std::string& text) { note_ = text; }
  /// The trial runs; to be called as often as one likes.
  void wait();
  /// `seconds`: what it took, from which the time left is estimated.
  void end(const report::TrialResult& result, double seconds);
  /// A line of its own.
  void say(const std::string& text);
  /// Removes the bar.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;
  struct Left {
    int trials = 0;
    int measured = 0;
    double seconds = 0;
  };

  void draw();
  void announce();
  [[nodiscard]] int expected() const;
  [[nodiscard]] std::string time_left() const;
  [[nodiscard]] std::string trial_text() const;

  bool quiet_;
  bool terminal_;
  int done_ = 0;
  std::map<std::string, Left> left_;  // by case
  std::string arm_, what_, stage_;    // what is being measured
  std::string note_;                  // how far it has come, where that is known
  std::string last_;                  // what the trial before found, where it was
  Clock::time_point run_began_ = Clock::now();
  Clock::time_point trial_began_ = run_began_;
  Clock::time_point shown_;  // when something was last said of what is running
  bool announced_ = false;   // of this trial
};

/// The figures of one trial that a reader looks for first, two at most: "prefill tokens/s 4.53 k". Bytes are left out:
/// they do not change from round to round.
[[nodiscard]] ATTNLAB_API std::string figures_of(const report::TrialResult& result);

}  // namespace attnlab::experiment
