#include "steps/counting_steps.h"

#include "core/seen_pairs.h"
#include "ops/matrix.h"

namespace attnlab {

void CountingSteps::enter(const LayerContext* layer, const KvShape& shape) {
  layer_ = layer;
  enter_in(direct_, layer, shape);
}

void CountingSteps::count(std::int64_t tokens, const Matrix& weight) {
  counts_.weight_multiply_adds += static_cast<double>(tokens) * static_cast<double>(weight.out_dim() * weight.in_dim());
  counts_.weight_bytes += static_cast<double>(weight.bytes());
}

void CountingSteps::project(TensorView<const float, 2> input, std::span<const Projection> projections) {
  for (const Projection& projection : projections) count(input.extent(0), projection.weight);
  direct_.project(input, projections);
}

void CountingSteps::norm(TensorView<const float, 3> from, std::span<const float> weight, float eps,
                         TensorView<float, 3> to) {
  direct_.norm(from, weight, eps, to);
}

void CountingSteps::rotate(RotateSide side, TensorView<float, 3> rows) {
  direct_.rotate(side, rows);
}

void CountingSteps::append(TensorView<float, 3> keys, TensorView<const float, 3> values, std::span<const float> marks) {
  direct_.append(keys, values, marks);
}

void CountingSteps::attend(const AttendStep& step, TensorView<float, 3> out, TensorView<float, 2> log_sum) {
  const AttendArgs args = DirectSteps::args_of(*layer_, step, hooks_);
  const SeenPairs seen = count_seen(args);
  const KvShape shape = args.source.shape();
  counts_.pairs += seen.pairs;
  if (&args.source == &layer_->cache) {
    counts_.rows_read += seen.rows;
    counts_.cached_bytes += seen.rows * row_bytes_(layer_number());
  } else {  // rows of the variant's own making
    counts_.state_bytes += seen.rows * sizeof(float) * (shape.key_dim + shape.value_dim);
  }
  counts_.attention_multiply_adds += seen.pairs * (shape.key_dim + shape.value_dim);
  direct_.attend(step, out, log_sum);
}

void CountingSteps::gate(TensorView<const float, 2> gates, TensorView<float, 3> rows) {
  direct_.gate(gates, rows);
}

void CountingSteps::silu_multiply(TensorView<const float, 2> gates, TensorView<float, 2> rows) {
  direct_.silu_multiply(gates, rows);
}

void CountingSteps::silu(TensorView<float, 3> rows) {
  direct_.silu(rows);
}

void CountingSteps::convolve(std::span<const float> weight, TensorView<float, 2> state, TensorView<float, 3> rows) {
  counts_.weight_multiply_adds += static_cast<double>(rows.extent(0)) * static_cast<double>(weight.size());
  counts_.weight_bytes += sizeof(float) * static_cast<double>(weight.size());
  counts_.state_bytes += 2.0 * sizeof(float) * static_cast<double>(state.extent(0) * state.extent(1));
  direct_.convolve(weight, state, rows);
}

void CountingSteps::blend(TensorView<const float, 3> from, std::span<const float> factors, TensorView<float, 3> to) {
  direct_.blend(from, factors, to);
}

void CountingSteps::merge(std::span<const AttendedPart> parts, TensorView<float, 3> out, TensorView<float, 2> log_sum) {
  direct_.merge(parts, out, log_sum);
}

void CountingSteps::own_work(const OwnWork& work) {
  counts_.attention_multiply_adds += work.multiply_adds;
  counts_.state_bytes += work.bytes;
}

void CountingSteps::add_norm(TensorView<float, 2> x, const float* delta, std::span<const float> weight, float eps,
                             TensorView<float, 2> out) {
  direct_.add_norm(x, delta, weight, eps, out);
}

void CountingSteps::gated_project(TensorView<const float, 2> input, const GatedProjection& halves,
                                  TensorView<float, 2> out) {
  count(input.extent(0), halves.gate);
  count(input.extent(0), halves.up);
  direct_.gated_project(input, halves, out);
}

}  // namespace attnlab
