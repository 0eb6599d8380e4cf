// Steps of inference: nothing but the work. After the first calls a decode step allocates nothing.
#pragma once

#include <vector>

#include "core/attend.h"
#include "steps/model_steps.h"

namespace attnlab {

class ATTNLAB_API DirectSteps final : public ModelSteps {
 public:
  /// Buffers come from `scratch`, which outlives this.
  explicit DirectSteps(Scratch& scratch) : ModelSteps(scratch) {}

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
  void add_norm(TensorView<float, 2> x, const float* delta, const Norm& norm, TensorView<float, 2> out) override;
  void gated_project(TensorView<const float, 2> input, const GatedProjection& halves,
                     TensorView<float, 2> out) override;
  void activate(Activation activation, TensorView<float, 2> rows) override;

  /// What the core is asked for by a step of a layer; the hooks of both are put in order into `hooks`, which outlives
  /// what is returned.
  [[nodiscard]] static AttendArgs args_of(const LayerContext& layer, const AttendStep& step,
                                          std::vector<const ScoreHook*>& hooks, Arithmetic compute);

  /// What the attention core has cost since this was made.
  [[nodiscard]] const AttendTime& attend_time() const noexcept { return attend_time_; }

 private:
  void enter(const LayerContext* layer, const KvShape& shape) override;
  [[nodiscard]] const LayerContext& layer() const;

  const LayerContext* layer_ = nullptr;  // whose steps these are at present
  KvShape shape_;
  std::vector<const ScoreHook*> hooks_;  // of one call, in their order
  AttendTime attend_time_;
};

}  // namespace attnlab
