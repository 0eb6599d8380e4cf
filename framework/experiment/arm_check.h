// Is what an arm computes what it says? A case is fed as it will be measured, with its contexts, its shares of them and
// its phases, and answers of the attention core are held against its slow double-precision reference. Once for every
// arm and case, before it is measured: a trial whose output is wrong has no timings. Attention that does not go through
// the core (a recurrent state) is only looked at for NaN and infinities. What it costs is bounded: of the queries of a
// call only some are computed anew, of sequences that are alike two are fed, and the beginning of a long prompt goes
// past the model into the caches. Not here: the laws of plugins (conformance), which take minutes.
#pragma once

#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <attnlab/api.h>

#include "core/attend_reference.h"
#include "experiment/case_feeding.h"
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
  /// In every call only queries with about so many scores in all, but one of every sequence at least, its newest: the
  /// reference is slow.
  explicit ReferenceComparison(double most_scores = std::numeric_limits<double>::infinity())
      : most_scores_(most_scores) {}
  ~ReferenceComparison() override;
  void attended(const AttendArgs& args, TensorView<const float, 3> out) override;

  [[nodiscard]] int calls() const noexcept { return calls_; }
  /// The largest error of all calls, relative to the largest output of its call that was computed anew (at least 1e-3);
  /// infinite for a NaN.
  [[nodiscard]] double deviation() const noexcept { return deviation_; }

 private:
  [[nodiscard]] std::vector<QueryOfHead> chosen(const AttendArgs& args) const;

  double most_scores_;
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

/// What is wrong with the arm's output in one case; none: nothing was found. Error where a cache cannot be made for it.
[[nodiscard]] ATTNLAB_API std::optional<std::string> check_arm(model::Decoder& decoder,
                                                               std::span<const CaseFeeding> feedings,
                                                               bool allow_nonfinite);

}  // namespace attnlab::experiment
