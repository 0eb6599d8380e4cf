#include "steps/direct_steps.h"

#include "base/plugin_call.h"
#include "ops/products.h"
#include "ops/row_steps.h"

namespace attnlab {

void DirectSteps::enter(const LayerContext* layer, const KvShape& shape) {
  layer_ = layer;
  shape_ = shape;
}

const LayerContext& DirectSteps::layer() const {
  ATTNLAB_CHECK(layer_ != nullptr, "a step of a layer outside its call");
  return *layer_;
}

void DirectSteps::project(TensorView<const float, 2> input, std::span<const Projection> projections) {
  attnlab::project(input, projections);
}

void DirectSteps::norm(TensorView<const float, 3> from, std::span<const float> weight, float eps,
                       TensorView<float, 3> to) {
  norm_rows(from, weight, eps, to);
}

void DirectSteps::rotate(RotateSide side, TensorView<float, 3> rows) {
  KvShape shape = shape_;
  if (shape.kv_heads == 0) shape.key_dim = static_cast<int>(rows.extent(2));  // no rows, so no columns are named
  rotate_rows(layer().chunk, layer().position.rotation(), shape, side, rows);
}

void DirectSteps::append(TensorView<float, 3> keys, TensorView<const float, 3> values, std::span<const float> marks) {
  LayerCache& cache = layer().cache;
  if (cache.key_form() == KeyForm::rotated)
    rotate_rows(layer().chunk, layer().position.rotation(), shape_, RotateSide::key, keys);
  cache.append(layer().chunk, {keys, values, marks});
}

AttendArgs DirectSteps::args_of(const LayerContext& layer, const AttendStep& step, std::vector<const ScoreHook*>& hooks,
                                Arithmetic compute) {
  hooks.clear();
  if (const ScoreHook* bias = layer.position.score_bias()) hooks.push_back(bias);
  hooks.insert(hooks.end(), step.hooks.begin(), step.hooks.end());
  return {.queries = step.queries,
          .chunk = step.chunk != nullptr ? *step.chunk : layer.chunk,
          .source = step.source != nullptr ? *step.source : layer.cache,
          .scale = step.scale,
          .rotation = layer.position.rotation(),
          .row_bias = layer.position.row_bias(),
          .hooks = hooks,
          .mask = step.mask,
          .sink_logits = step.sink_logits,
          .weighting = step.weighting,
          .row_weighting = step.row_weighting,
          .compute = compute};
}

void DirectSteps::attend(const AttendStep& step, TensorView<float, 3> out, TensorView<float, 2> log_sum) {
  attnlab::attend(args_of(layer(), step, hooks_, attends_in()), out, log_sum, &attend_time_);
}

void DirectSteps::gate(TensorView<const float, 2> gates, TensorView<float, 3> rows) {
  gate_rows(gates, rows);
}

void DirectSteps::silu_multiply(TensorView<const float, 2> gates, TensorView<float, 2> rows) {
  activate_multiply_rows(Activation::silu, gates, rows);
}

void DirectSteps::silu(TensorView<float, 3> rows) {
  silu_rows(rows);
}

void DirectSteps::convolve(std::span<const float> weight, TensorView<float, 2> state, TensorView<float, 3> rows) {
  convolve_rows(layer().chunk, weight, state, rows);
}

void DirectSteps::blend(TensorView<const float, 3> from, std::span<const float> factors, TensorView<float, 3> to) {
  blend_rows(from, factors, to);
}

void DirectSteps::merge(std::span<const AttendedPart> parts, TensorView<float, 3> out, TensorView<float, 2> log_sum) {
  if (layer_ != nullptr && layer_->position.row_bias() != nullptr)
    broken_rule("parts of attention under a position bias of whole rows, which has seen the rows of each part alone",
                "attend over all rows at once, or exclude Feature::row_bias");
  merge_rows(parts, out, log_sum);
}

void DirectSteps::own_work(const OwnWork&) {}

void DirectSteps::add_norm(TensorView<float, 2> x, const float* delta, const Norm& norm, TensorView<float, 2> out) {
  add_norm_rows(x, delta, norm, out);
}

void DirectSteps::gated_project(TensorView<const float, 2> input, const GatedProjection& halves,
                                TensorView<float, 2> out) {
  attnlab::gated_project(input, halves.gate, halves.up, halves.gate_bias, halves.up_bias, halves.activation, out);
}

void DirectSteps::activate(Activation activation, TensorView<float, 2> rows) {
  activate_rows(activation, rows);
}

}  // namespace attnlab
