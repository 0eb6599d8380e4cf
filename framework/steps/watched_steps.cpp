#include "steps/watched_steps.h"

namespace attnlab {

AttendWatcher::~AttendWatcher() = default;

void WatchedSteps::attend(const AttendStep& step, TensorView<float, 3> out, TensorView<float, 2> log_sum) {
  ThroughSteps::attend(step, out, log_sum);
  watcher_.attended(layer_number(), args_of(step), out);
}

}  // namespace attnlab
