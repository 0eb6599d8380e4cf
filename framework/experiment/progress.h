// What a run shows while it goes on: a bar on a terminal, one plain line a trial elsewhere.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

namespace attnlab::experiment {

class Progress {
 public:
  explicit Progress(std::size_t trials);

  void start(const std::string& arm, const std::string& what, int round, int rounds);
  void end(const std::string& outcome);
  /// Removes the bar.
  void finish();

 private:
  void draw() const;

  std::size_t trials_;
  std::size_t done_ = 0;
  bool terminal_;
  std::string line_;  // what is being measured
  std::chrono::steady_clock::time_point began_;
};

}  // namespace attnlab::experiment
