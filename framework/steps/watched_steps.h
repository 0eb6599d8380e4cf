// Direct steps that pass every attention call to an observer: its arguments and its result.
#pragma once

#include <vector>

#include "steps/direct_steps.h"

namespace attnlab {

class ATTNLAB_API AttendWatcher {
 public:
  virtual ~AttendWatcher();
  /// After a call of `attend`.
  virtual void attended(const AttendArgs& args, TensorView<const float, 3> out) = 0;
};

class ATTNLAB_API WatchedSteps final : public ModelSteps {
 public:
  /// Buffers come from `scratch`; both outlive this.
  WatchedSteps(Scratch& scratch, AttendWatcher& watcher) : ModelSteps(scratch), direct_(scratch), watcher_(watcher) {}

  using Steps::append;
  using Steps::attend;
  using Steps::project;
  void project(TensorView<const float, 2> input, std::span<const Projection> projections) override;
  void norm(TensorView<const float, 3> from, std::span<const float> weight, float eps,
            TensorView<float, 3> to) override;
  void rotate(RotateSide side, TensorView<float, 3> rows) override;
  void append(TensorView<float, 3> keys, TensorView<const float, 3> values, std::span<const float> marks) override;
  void attend(const AttendStep& step, TensorView<float, 3> out, TensorView<float, 2> log_sum) override;
  void gate(TensorView<const float, 2> gates, TensorView<float, 3> rows) override;
  void silu_multiply(TensorView<const float, 2> gates, TensorView<float, 2> rows) override;
  void silu(TensorView<float, 3> rows) override;
  void convolve(std::span<const float> weight, TensorView<float, 2> state, TensorView<float, 3> rows) override;
  void blend(TensorView<const float, 3> from, std::span<const float> factors, TensorView<float, 3> to) override;
  void merge(std::span<const AttendedPart> parts, TensorView<float, 3> out, TensorView<float, 2> log_sum) override;
  void own_work(const OwnWork& work) override;
  void add_norm(TensorView<float, 2> x, const float* delta, std::span<const float> weight, float eps,
                TensorView<float, 2> out) override;
  void gated_project(TensorView<const float, 2> input, const GatedProjection& halves,
                     TensorView<float, 2> out) override;

 private:
  void enter(const LayerContext* layer, const KvShape& shape) override;

  DirectSteps direct_;
  AttendWatcher& watcher_;
  const LayerContext* layer_ = nullptr;
  std::vector<const ScoreHook*> hooks_;
};

}  // namespace attnlab
