// Direct steps that add up what they execute: multiplications with weights, attention as its queries see rows, and
// what is read for it. What rates, predictions and shares of a roof are computed from, so that the cost of
// a variant or a policy is never guessed. Counting adds little to the time of a pass.
#pragma once

#include <functional>

#include "steps/direct_steps.h"

namespace attnlab {

struct StepCounts {
  double weight_multiply_adds = 0;     // tokens times weights of every product
  double weight_bytes = 0;             // read by the products, each matrix once a call
  double attention_multiply_adds = 0;  // pairs times the widths of keys and values, and a variant's own work
  double pairs = 0;                    // of a query head and a row that it sees
  double rows_read = 0;                // of a kv head, once a call
  double cached_bytes = 0;             // of these rows, as their storages hold them
  double state_bytes = 0;              // read and written by a variant's own work

  [[nodiscard]] double operations() const noexcept { return 2 * (weight_multiply_adds + attention_multiply_adds); }
  [[nodiscard]] double bytes() const noexcept { return weight_bytes + cached_bytes + state_bytes; }
};

class ATTNLAB_API CountingSteps final : public ModelSteps {
 public:
  /// Bytes of one row of one kv head of a layer.
  using RowBytes = std::function<double(int layer)>;
  /// Buffers come from `scratch`, which outlives this.
  CountingSteps(Scratch& scratch, RowBytes row_bytes)
      : ModelSteps(scratch), direct_(scratch), row_bytes_(std::move(row_bytes)) {}

  [[nodiscard]] const StepCounts& counts() const noexcept { return counts_; }

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
  void count(std::int64_t tokens, const Matrix& weight);

  DirectSteps direct_;
  RowBytes row_bytes_;
  const LayerContext* layer_ = nullptr;
  std::vector<const ScoreHook*> hooks_;
  StepCounts counts_;
};

}  // namespace attnlab
