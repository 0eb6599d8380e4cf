#include "workloads/turns.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace attnlab::experiment {
namespace {

constexpr double kMostRepeats = 200;
constexpr double kMostTimesLeast = 3;  // with what is not timed

}  // namespace

Turns::~Turns() = default;

PassTimer::PassTimer(model::Decoder& decoder, Turns* turns) : decoder_(decoder), turns_(turns) {
  if (turns_ != nullptr) decoder_.call_after_layers([this] { after_layer(); });
}

PassTimer::~PassTimer() {
  if (turns_ != nullptr) decoder_.call_after_layers({});
}

void PassTimer::start() {
  of_pass_ = 0;
  runs_ = true;
  began_ = Clock::now();
}

double PassTimer::stop() {
  const double last = std::chrono::duration<double>(Clock::now() - began_).count();
  of_pass_ += last;
  of_slice_ += last;
  spent_ += of_pass_;
  runs_ = false;
  ++passes_;
  if (pieces_ == 0) {
    rehearsed_ += of_pass_;
    return of_pass_;
  }
  if (plan_.cuts_passes == 0) ++done_;
  end_slice();  // the last one ends here, with what follows the last layer
  return of_pass_;
}

void PassTimer::rehearse() {
  rehearsed_ = 0;
  layers_ = passes_ = 0;
}

void PassTimer::begin(double least_seconds, double untimed_seconds) {
  spent_ = 0;
  if (turns_ == nullptr) {
    const double repeats = std::min(std::ceil(least_seconds / std::max(rehearsed_, 1e-9)),
                                    kMostTimesLeast * least_seconds / std::max(rehearsed_ + untimed_seconds, 1e-9));
    plan_.repeats = static_cast<std::int32_t>(std::clamp(repeats, 1.0, kMostRepeats));
    return;
  }
  layers_of_pass_ = passes_ > 0 ? layers_ / passes_ : 0;
  done_ = 0;
  of_slice_ = 0;
  const std::int64_t passes = std::max<std::int64_t>(passes_, 1), layers = layers_of_pass_ * passes_;
  plan_ = turns_->begin({.passes = passes, .layers = layers, .seconds = rehearsed_, .untimed = untimed_seconds});
  of_repeat_ = plan_.cuts_passes != 0 ? layers : passes;
  pieces_ = of_repeat_ * plan_.repeats;
}

double PassTimer::seconds_once() const {
  return plan_.seconds > 0 ? plan_.seconds : spent_ / plan_.repeats;
}

void PassTimer::after_layer() {
  if (!runs_) return;  // rows that are filled in before a pass
  ++layers_;
  if (pieces_ == 0 || plan_.cuts_passes == 0) return;
  const Clock::time_point now = Clock::now();
  const double seconds = std::chrono::duration<double>(now - began_).count();
  of_pass_ += seconds;
  of_slice_ += seconds;
  ++done_;
  if (done_ % layers_of_pass_ != 0) end_slice();  // what follows the last layer is of the same slice
  began_ = Clock::now();
}

// Where a part has ended: after the k-th there are at least k / parts of the pieces.
void PassTimer::end_slice() {
  const auto ended = static_cast<std::int64_t>(slices_.size());
  if (done_ * plan_.parts < (ended + 1) * pieces_) return;
  slices_.push_back(of_slice_);
  plan_ = turns_->pass(std::exchange(of_slice_, 0));
  pieces_ = of_repeat_ * plan_.repeats;
}

}  // namespace attnlab::experiment
