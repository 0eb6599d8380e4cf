// Restores the number of threads after several numbers were tried.
#pragma once

#include "parallel/parallel.h"

namespace attnlab {

/// The number of threads is as it was when this ends.
class KeepThreads {
 public:
  KeepThreads() = default;
  ~KeepThreads() { set_threads(before_); }
  KeepThreads(const KeepThreads&) = delete;
  KeepThreads& operator=(const KeepThreads&) = delete;

 private:
  int before_ = threads();
};

}  // namespace attnlab
