// Direct steps that add up what they execute: multiplications with weights, attention as its queries see rows, and
// what is read for it. What rates, predictions and shares of a roof are computed from, so that the cost of
// a variant or a policy is never guessed. Counting adds little to the time of a pass.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "steps/through_steps.h"

namespace attnlab {

struct StepCounts {
  double weight_multiply_adds = 0;     // tokens times weights of every product
  double weight_bytes = 0;             // read by the products, each matrix once a call
  double attention_multiply_adds = 0;  // pairs times the widths of keys and values and what a row weighting multiplies
                                       // for a score, and own_multiply_adds
  double pairs = 0;                    // of a query head and a row that it sees
  double rows_read = 0;                // of a kv head, once a call
  double cached_bytes = 0;             // of these rows, as their storages hold them
  double state_bytes = 0;              // rows of a variant's own making, and its own work
  double own_multiply_adds = 0;        // of these, what is the same however many rows a query sees: what a variant did
                                       // between its other steps, by its own report, and a bias of whole rows
  double queries = 0;                  // of a head, that have attended

  StepCounts& operator+=(const StepCounts& more) noexcept;
  [[nodiscard]] double operations() const noexcept { return 2 * (weight_multiply_adds + attention_multiply_adds); }
  [[nodiscard]] double bytes() const noexcept { return weight_bytes + cached_bytes + state_bytes; }
};

/// Whether products are computed, or every one of their outputs is 1: what is counted does not depend on the weights,
/// and the pages of a model that was made without them are never touched.
enum class CountedProducts : std::uint8_t { computed, ones };

class ATTNLAB_API CountingSteps final : public ThroughSteps {
 public:
  /// Bytes of one row of one kv head of a layer.
  using RowBytes = std::function<double(int layer)>;
  /// Buffers come from `scratch`, which outlives this.
  CountingSteps(Scratch& scratch, RowBytes row_bytes, CountedProducts products = CountedProducts::computed)
      : ThroughSteps(scratch), row_bytes_(std::move(row_bytes)), products_(products) {}

  /// Of all layers, with what was executed between and after them.
  [[nodiscard]] StepCounts counts() const noexcept;
  /// [layers that were driven] what was executed from the start of the layer to the start of the next one.
  [[nodiscard]] std::span<const StepCounts> of_layers() const noexcept { return of_layers_; }

  using Steps::attend;
  using Steps::project;
  void project(TensorView<const float, 2> input, std::span<const Projection> projections) override;
  void attend(const AttendStep& step, TensorView<float, 3> out, TensorView<float, 2> log_sum) override;
  void convolve(std::span<const float> weight, TensorView<float, 2> state, TensorView<float, 3> rows) override;
  void own_work(const OwnWork& work) override;
  void gated_project(TensorView<const float, 2> input, const GatedProjection& halves,
                     TensorView<float, 2> out) override;

 private:
  void count(std::int64_t tokens, const Matrix& weight);
  // Of the layer that is driven.
  [[nodiscard]] StepCounts& counted();

  RowBytes row_bytes_;
  CountedProducts products_;
  std::vector<StepCounts> of_layers_;
};

}  // namespace attnlab
