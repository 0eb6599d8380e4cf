// Is what an arm computes what it says? A few tokens through the arm's own model, with every answer of the attention
// core held against its slow double-precision reference. Once for every arm, before anything of it is measured: a trial
// whose output is wrong has no timings. Attention that does not go through the core (a recurrent state) is only looked
// at for NaN and infinities.
// Not here: the laws of plugins (conformance), which take minutes.
#pragma once

#include <limits>
#include <optional>
#include <string>
#include <vector>

#include <attnlab/api.h>

#include "core/attend_reference.h"
#include "model/decoder.h"

namespace attnlab::experiment {

/// The largest error that passes, relative to the largest output of the same call. The reference reads the rows as they
/// are held, so that a coarse storage is no error: 345 arms of all kinds and storages with random weights, head_dim 16
/// and 64, were within 7e-7. A trained model may have scores in the hundreds, whose rounding in f32 is what is allowed
/// here; a row, a mask or a position that is off costs per cents.
inline constexpr double kArmTolerance = 1e-3;

/// Holds calls of `attend` against the reference while it is observing.
class ATTNLAB_API ReferenceComparison final : public AttendObserver {
 public:
  /// Only every `stride`-th call: the reference is slow.
  explicit ReferenceComparison(int stride = 1) : stride_(stride) {}
  ~ReferenceComparison() override;
  void attended(const AttendArgs& args, TensorView<const float, 3> out) override;

  [[nodiscard]] int calls() const noexcept { return calls_; }
  /// The largest error of all calls, relative to the largest output of its call (at least 1e-3); infinite for a NaN.
  [[nodiscard]] double deviation() const noexcept { return deviation_; }

 private:
  int stride_;
  int calls_ = 0;
  double deviation_ = 0;
};

/// Lets an observer observe for as long as it lives.
class ATTNLAB_API AttendWatch {
 public:
  explicit AttendWatch(AttendObserver& observer) : before_(observe_attend(&observer)) {}
  ~AttendWatch() { observe_attend(before_); }
  AttendWatch(const AttendWatch&) = delete;
  AttendWatch& operator=(const AttendWatch&) = delete;

 private:
  AttendObserver* before_;
};

/// What is wrong with the arm's output; none: nothing was found.
[[nodiscard]] ATTNLAB_API std::optional<std::string> check_arm(model::Decoder& decoder, bool allow_nonfinite);

}  // namespace attnlab::experiment
