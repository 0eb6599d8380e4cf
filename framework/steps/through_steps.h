// Steps whose work is done by other steps: every step goes on to the inner ones as it is. A kind that looks at some of
// the steps (counts them, checks them, keeps a tape) derives from this and overrides those; what it does not override
// is done all the same. Not here: what a step does (DirectSteps).
#pragma once

#include <memory>
#include <vector>

#include "core/attend.h"
#include "steps/model_steps.h"

namespace attnlab {

class ATTNLAB_API ThroughSteps : public ModelSteps {
 public:
  /// Buffers come from `scratch`. inner: what does the work; null: direct steps. Both outlive this.
  explicit ThroughSteps(Scratch& scratch, ModelSteps* inner = nullptr);
  ~ThroughSteps() override;

  void attend_in(Arithmetic arithmetic) noexcept override;
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

 protected:
  /// Whose steps these are at present, and what its rows hold.
  [[nodiscard]] const LayerContext& layer() const noexcept { return *layer_; }
  [[nodiscard]] const KvShape& row_shape() const noexcept { return shape_; }
  /// What the core is asked for by a step; valid until the next call.
  [[nodiscard]] AttendArgs args_of(const AttendStep& step);

 private:
  void enter(const LayerContext* layer, const KvShape& shape) final;

  std::unique_ptr<ModelSteps> own_;
  ModelSteps& inner_;
  const LayerContext* layer_ = nullptr;
  KvShape shape_;
  std::vector<const ScoreHook*> hooks_;  // of one call, in their order
};

}  // namespace attnlab
