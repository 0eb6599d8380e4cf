#include "steps/watched_steps.h"

namespace attnlab {

AttendWatcher::~AttendWatcher() = default;

void WatchedSteps::enter(const LayerContext* layer, const KvShape& shape) {
  layer_ = layer;
  enter_in(direct_, layer, shape);
}

void WatchedSteps::attend(const AttendStep& step, TensorView<float, 3> out, TensorView<float, 2> log_sum) {
  direct_.attend(step, out, log_sum);
  watcher_.attended(DirectSteps::args_of(*layer_, step, hooks_), out);
}

void WatchedSteps::project(TensorView<const float, 2> input, std::span<const Projection> projections) {
  direct_.project(input, projections);
}

void WatchedSteps::norm(TensorView<const float, 3> from, std::span<const float> weight, float eps,
                        TensorView<float, 3> to) {
  direct_.norm(from, weight, eps, to);
}

void WatchedSteps::rotate(RotateSide side, TensorView<float, 3> rows) {
  direct_.rotate(side, rows);
}

void WatchedSteps::append(TensorView<float, 3> keys, TensorView<const float, 3> values, std::span<const float> marks) {
  direct_.append(keys, values, marks);
}

void WatchedSteps::gate(TensorView<const float, 2> gates, TensorView<float, 3> rows) {
  direct_.gate(gates, rows);
}

void WatchedSteps::silu_multiply(TensorView<const float, 2> gates, TensorView<float, 2> rows) {
  direct_.silu_multiply(gates, rows);
}

void WatchedSteps::silu(TensorView<float, 3> rows) {
  direct_.silu(rows);
}

void WatchedSteps::convolve(std::span<const float> weight, TensorView<float, 2> state, TensorView<float, 3> rows) {
  direct_.convolve(weight, state, rows);
}

void WatchedSteps::blend(TensorView<const float, 3> from, std::span<const float> factors, TensorView<float, 3> to) {
  direct_.blend(from, factors, to);
}

void WatchedSteps::merge(std::span<const AttendedPart> parts, TensorView<float, 3> out, TensorView<float, 2> log_sum) {
  direct_.merge(parts, out, log_sum);
}

void WatchedSteps::own_work(const OwnWork& work) {
  direct_.own_work(work);
}

void WatchedSteps::add_norm(TensorView<float, 2> x, const float* delta, std::span<const float> weight, float eps,
                            TensorView<float, 2> out) {
  direct_.add_norm(x, delta, weight, eps, out);
}

void WatchedSteps::gated_project(TensorView<const float, 2> input, const GatedProjection& halves,
                                 TensorView<float, 2> out) {
  direct_.gated_project(input, halves, out);
}

}  // namespace attnlab
