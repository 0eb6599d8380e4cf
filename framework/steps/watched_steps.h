// Steps that pass every attention call to an observer: its arguments and its result.
#pragma once

#include "steps/through_steps.h"

namespace attnlab {

class ATTNLAB_API AttendWatcher {
 public:
  virtual ~AttendWatcher();
  /// After a call of `attend` of a layer.
  virtual void attended(int layer, const AttendArgs& args, TensorView<const float, 3> out) = 0;
};

class ATTNLAB_API WatchedSteps final : public ThroughSteps {
 public:
  /// Buffers come from `scratch`; both outlive this.
  WatchedSteps(Scratch& scratch, AttendWatcher& watcher) : ThroughSteps(scratch), watcher_(watcher) {}

  using Steps::attend;
  void attend(const AttendStep& step, TensorView<float, 3> out, TensorView<float, 2> log_sum) override;

 private:
  AttendWatcher& watcher_;
};

}  // namespace attnlab
