// What a run shows while it goes on: a bar on a terminal, one plain line a trial elsewhere, nothing where it is to be
// quiet (then only what went wrong, on stderr).
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "report/trial_result.h"

namespace attnlab::experiment {

class Progress {
 public:
  explicit Progress(bool quiet);

  /// Trials of a case that are still to come; negative where some will not.
  void expect(const std::string& what, int trials);
  /// `what`: the case; `stage`: "round 2/7", "warm-up 1".
  void start(const std::string& arm, const std::string& what, const std::string& stage);
  /// `seconds`: what it took, from which the time left is estimated.
  void end(const report::TrialResult& result, double seconds);
  /// A line of its own.
  void say(const std::string& text);
  /// Removes the bar.
  void finish();

 private:
  struct Left {
    int trials = 0;
    int measured = 0;
    double seconds = 0;
  };

  void draw() const;
  [[nodiscard]] int expected() const;
  [[nodiscard]] std::string time_left() const;
  void note(const report::TrialResult& result);
  [[nodiscard]] std::string medians() const;

  bool quiet_;
  bool terminal_;
  int done_ = 0;
  std::map<std::string, Left> left_;                                          // by case
  std::string arm_, what_, stage_;                                            // what is being measured
  std::map<std::string, std::map<std::string, std::vector<double>>> values_;  // by arm and case, by metric
  std::map<std::string, std::string> units_;                                  // of the metrics
};

}  // namespace attnlab::experiment
