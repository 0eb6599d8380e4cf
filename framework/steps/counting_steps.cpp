#include "steps/counting_steps.h"

#include <algorithm>

#include "core/seen_pairs.h"
#include "ops/matrix.h"

namespace attnlab {
namespace {

void fill_with_ones(TensorView<float, 2> rows) {
  for (std::int64_t row = 0; row < rows.extent(0); ++row) std::ranges::fill(rows.row(row), 1.0F);
}

}  // namespace

StepCounts& StepCounts::operator+=(const StepCounts& more) noexcept {
  for (double StepCounts::*const part :
       {&StepCounts::weight_multiply_adds, &StepCounts::weight_bytes, &StepCounts::attention_multiply_adds,
        &StepCounts::pairs, &StepCounts::rows_read, &StepCounts::cached_bytes, &StepCounts::state_bytes,
        &StepCounts::own_multiply_adds, &StepCounts::queries})
    this->*part += more.*part;
  return *this;
}

StepCounts CountingSteps::counts() const noexcept {
  StepCounts all;
  for (const StepCounts& layer : of_layers_) all += layer;
  return all;
}

StepCounts& CountingSteps::counted() {
  const auto layer = static_cast<std::size_t>(layer_number());
  if (layer >= of_layers_.size()) of_layers_.resize(layer + 1);
  return of_layers_[layer];
}

void CountingSteps::count(std::int64_t tokens, const Matrix& weight) {
  StepCounts& counts = counted();
  counts.weight_multiply_adds += static_cast<double>(tokens) * static_cast<double>(weight.out_dim() * weight.in_dim());
  counts.weight_bytes += static_cast<double>(weight.bytes());
}

void CountingSteps::project(TensorView<const float, 2> input, std::span<const Projection> projections) {
  for (const Projection& projection : projections) count(input.extent(0), projection.weight);
  if (products_ == CountedProducts::computed) return ThroughSteps::project(input, projections);
  for (const Projection& projection : projections) fill_with_ones(projection.out);
}

void CountingSteps::attend(const AttendStep& step, TensorView<float, 3> out, TensorView<float, 2> log_sum) {
  const AttendArgs args = args_of(step);
  const SeenPairs seen = count_seen(args);
  const KvShape shape = args.source.shape();
  StepCounts& counts = counted();
  counts.pairs += seen.pairs;
  counts.queries += static_cast<double>(args.queries.extent(0) * args.queries.extent(1));
  if (&args.source == &layer().cache) {
    counts.rows_read += seen.rows;
    counts.cached_bytes += seen.rows * row_bytes_(layer_number());
  } else {  // rows of the variant's own making
    counts.state_bytes += seen.rows * sizeof(float) * (shape.key_dim + shape.value_dim);
  }
  double of_pair = shape.key_dim + shape.value_dim;
  if (args.row_weighting != nullptr) {
    const auto heads = static_cast<int>(args.queries.extent(1));
    of_pair +=
        args.row_weighting->multiply_adds(args.row_weighting->takes_all_heads() ? heads : heads / shape.kv_heads);
  }
  counts.attention_multiply_adds += seen.pairs * of_pair;
  if (args.row_bias != nullptr) {  // whatever the rows
    const double of_bias =
        args.row_bias->multiply_adds() * static_cast<double>(args.queries.extent(0) * args.queries.extent(1));
    counts.attention_multiply_adds += of_bias;
    counts.own_multiply_adds += of_bias;
  }
  ThroughSteps::attend(step, out, log_sum);
}

void CountingSteps::convolve(std::span<const float> weight, TensorView<float, 2> state, TensorView<float, 3> rows) {
  StepCounts& counts = counted();
  counts.weight_multiply_adds += static_cast<double>(rows.extent(0)) * static_cast<double>(weight.size());
  counts.weight_bytes += sizeof(float) * static_cast<double>(weight.size());
  counts.state_bytes += 2.0 * sizeof(float) * static_cast<double>(state.extent(0) * state.extent(1));
  ThroughSteps::convolve(weight, state, rows);
}

void CountingSteps::own_work(const OwnWork& work) {
  StepCounts& counts = counted();
  counts.attention_multiply_adds += work.multiply_adds;
  counts.own_multiply_adds += work.multiply_adds;
  counts.state_bytes += work.bytes;
}

void CountingSteps::gated_project(TensorView<const float, 2> input, const GatedProjection& halves,
                                  TensorView<float, 2> out) {
  count(input.extent(0), halves.gate);
  count(input.extent(0), halves.up);
  if (products_ == CountedProducts::ones) return fill_with_ones(out);
  ThroughSteps::gated_project(input, halves, out);
}

}  // namespace attnlab
