// Restores what is said about threads after something else was tried.
#pragma once

#include "parallel/parallel.h"

namespace attnlab {

/// The number of threads, and the least work that is split, are as they were when this ends.
class KeepThreads {
 public:
  KeepThreads() = default;
  ~KeepThreads() {
    set_threads(before_);
    set_least_split(least_);
  }
  KeepThreads(const KeepThreads&) = delete;
  KeepThreads& operator=(const KeepThreads&) = delete;

 private:
  int before_ = threads();
  double least_ = least_split();
};

}  // namespace attnlab
