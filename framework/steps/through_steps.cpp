#include "steps/through_steps.h"

#include "steps/direct_steps.h"

namespace attnlab {

ThroughSteps::ThroughSteps(Scratch& scratch, ModelSteps* inner)
    : ModelSteps(scratch),
      own_(inner == nullptr ? std::make_unique<DirectSteps>(scratch) : nullptr),
      inner_(inner == nullptr ? *own_ : *inner) {}

ThroughSteps::~ThroughSteps() = default;

void ThroughSteps::enter(const LayerContext* layer, const KvShape& shape) {
  layer_ = layer;
  shape_ = shape;
  enter_in(inner_, layer, shape);
}

void ThroughSteps::attend_in(Arithmetic arithmetic) noexcept {
  ModelSteps::attend_in(arithmetic);
  inner_.attend_in(arithmetic);
}

AttendArgs ThroughSteps::args_of(const AttendStep& step) {
  return DirectSteps::args_of(*layer_, step, hooks_, attends_in());
}

void ThroughSteps::project(TensorView<const float, 2> input, std::span<const Projection> projections) {
  inner_.project(input, projections);
}

void ThroughSteps::norm(TensorView<const float, 3> from, std::span<const float> weight, float eps,
                        TensorView<float, 3> to) {
  inner_.norm(from, weight, eps, to);
}

void ThroughSteps::rotate(RotateSide side, TensorView<float, 3> rows) {
  inner_.rotate(side, rows);
}

void ThroughSteps::append(TensorView<float, 3> keys, TensorView<const float, 3> values, std::span<const float> marks) {
  inner_.append(keys, values, marks);
}

void ThroughSteps::attend(const AttendStep& step, TensorView<float, 3> out, TensorView<float, 2> log_sum) {
  inner_.attend(step, out, log_sum);
}

void ThroughSteps::gate(TensorView<const float, 2> gates, TensorView<float, 3> rows) {
  inner_.gate(gates, rows);
}

void ThroughSteps::silu_multiply(TensorView<const float, 2> gates, TensorView<float, 2> rows) {
  inner_.silu_multiply(gates, rows);
}

void ThroughSteps::silu(TensorView<float, 3> rows) {
  inner_.silu(rows);
}

void ThroughSteps::convolve(std::span<const float> weight, TensorView<float, 2> state, TensorView<float, 3> rows) {
  inner_.convolve(weight, state, rows);
}

void ThroughSteps::blend(TensorView<const float, 3> from, std::span<const float> factors, TensorView<float, 3> to) {
  inner_.blend(from, factors, to);
}

void ThroughSteps::merge(std::span<const AttendedPart> parts, TensorView<float, 3> out, TensorView<float, 2> log_sum) {
  inner_.merge(parts, out, log_sum);
}

void ThroughSteps::own_work(const OwnWork& work) {
  inner_.own_work(work);
}

void ThroughSteps::add_norm(TensorView<float, 2> x, const float* delta, const Norm& norm, TensorView<float, 2> out) {
  inner_.add_norm(x, delta, norm, out);
}

void ThroughSteps::gated_project(TensorView<const float, 2> input, const GatedProjection& halves,
                                 TensorView<float, 2> out) {
  inner_.gated_project(input, halves, out);
}

void ThroughSteps::activate(Activation activation, TensorView<float, 2> rows) {
  inner_.activate(activation, rows);
}

}  // namespace attnlab
