#include "steps/recording_steps.h"

#include <algorithm>
#include <string>
#include <utility>

#include <attnlab/error.h>
#include <attnlab/ops.h>

#include "base/plugin_call.h"
#include "ops/dense_product.h"
#include "ops/row_backward.h"
#include "ops/row_steps.h"
#include "parallel/parallel.h"

namespace attnlab {
namespace {

std::size_t used_bytes(const Scratch& arena) {
  std::size_t floats = 0;
  for (const Scratch::Part& part : arena.parts()) floats += part.used;
  return floats * sizeof(float);
}

}  // namespace

RecordingSteps::RecordingSteps(Scratch& scratch, TrainedParameters& parameters)
    : ModelSteps(scratch),
      scratch_(scratch),
      parameters_(parameters),
      space_(scratch),
      of_(*this),
      direct_(scratch),
      pass_(std::in_place, scratch),
      saved_of_pass_(std::in_place, saved_) {}
RecordingSteps::~RecordingSteps() = default;

void RecordingSteps::backward() {
  pass_bytes_ = 2 * used_bytes(scratch_) + used_bytes(saved_);
  for (; !tape_.empty(); tape_.pop_back()) tape_.back()();
  forget();
}

void RecordingSteps::forget() {
  tape_.clear();
  appended_.clear();
  constants_.clear();
  dropped_ = 0;
  space_.clear();
  pass_.reset();
  pass_.emplace(scratch_);
  saved_of_pass_.reset();
  saved_of_pass_.emplace(saved_);
}

void RecordingSteps::enter(const LayerContext* layer, const KvShape& shape) {
  layer_ = layer;
  shape_ = shape;
  enter_in(direct_, layer, shape);
  if (layer == nullptr) return;
  for (int sequence = 0; sequence < layer->chunk.sequences(); ++sequence)
    if (layer->chunk.tokens_of(sequence) > 0 && layer->chunk.positions[layer->chunk.first(sequence)] != 0)
      throw Error("", "a derivative through what earlier calls have left", "a sequence is trained whole, in one call");
  // Before the variant is called: the scheme is named, not the variant.
  if (const ScoreHook* bias = layer->position.score_bias()) bias->require_derivative();
  if (const RowBias* bias = layer->position.row_bias()) bias->require_derivative();
}

const LayerContext& RecordingSteps::layer() const {
  ATTNLAB_CHECK(layer_ != nullptr, "a step of a layer outside its call");
  return *layer_;
}

std::span<float> RecordingSteps::Found::of_parameter(std::span<const float> values) {
  return steps_.of_values(values);
}

std::span<float> RecordingSteps::of_values(std::span<const float> values) {
  std::span<float> gradient = parameters_.values(values);
  if (const auto found = constants_.find(values.data()); gradient.empty() && found != constants_.end())
    gradient = std::span(found->second).first(std::min(values.size(), found->second.size()));
  if (gradient.empty())
    throw Error("", "numbers that a component derived from its parameters have no derivative",
                "give the steps the parameters themselves, as `bind` got them, or say that they are a `constant`");
  return gradient;
}

void RecordingSteps::check_written(std::span<const float> bounds, const char* step) const {
  if (space_.is_written(bounds.data(), bounds.data() + bounds.size())) return;
  throw Error("",
              std::string("`") + step + "` of layer " + std::to_string(layer_number()) +
                  " reads what no step has written, so it has no derivative",
              "tell own work between two steps by `custom`, with its derivative");
}

void RecordingSteps::keep(std::function<void()> undo) {
  const PluginCall* call = PluginCall::running();
  if (call == nullptr)
    tape_.push_back(std::move(undo));
  else
    tape_.emplace_back([undo = std::move(undo), &callee = call->callee()] { call_plugin(callee, "backward", undo); });
}

void RecordingSteps::record(const Touched& touched, std::function<void(Gradients&)> backward) {
  const auto is_read = [&](std::span<const float> of) {
    return std::ranges::any_of(touched.reads, [&](std::span<const float> read) { return read.data() == of.data(); });
  };
  for (const std::span<const float> of : touched.reads) check_written(of, "custom");
  // The work is done: what a buffer held before is gone.
  for (const std::span<const float> of : touched.writes) {
    const bool overwrites = space_.write(of.data(), of.data() + of.size());
    if (overwrites && space_.was_read(of.data(), of.data() + of.size()))
      throw Error("", "own work has written over what an earlier step has read, so that step has no derivative",
                  "write into another buffer of the call");
    if (overwrites && !is_read(of))
      throw Error("", "own work has written over what an earlier step has written",
                  "name a buffer that is changed in place among the reads, too, or write into another one");
  }
  for (const std::span<const float> of : touched.reads)
    if (std::ranges::none_of(touched.writes, [&](std::span<const float> to) { return to.data() == of.data(); }))
      space_.read(of.data(), of.data() + of.size());
  keep([this, undo = std::move(backward)] { undo(of_); });
}

TensorView<const float, 3> RecordingSteps::saved(TensorView<const float, 3> rows) {
  const TensorView<float, 3> copy = saved_.rows(rows.extent(0), rows.extent(1), rows.extent(2));
  copy_rows(rows, copy);
  return copy;
}

TensorView<const float, 2> RecordingSteps::saved(TensorView<const float, 2> rows) {
  return {saved(one_head(rows)).data(), {rows.extent(0), rows.extent(1)}};
}

void RecordingSteps::write(TensorView<float, 3> rows) {
  const std::span<const float> bounds = bounds_of(rows);
  if (!space_.write(bounds.data(), bounds.data() + bounds.size())) return;
  keep([this, rows, before = saved(rows)] {
    copy_rows(before, rows);
    const TensorView<float, 3> of = of_.of(rows);
    for (std::int64_t token = 0; token < of.extent(0); ++token)
      for (std::int64_t head = 0; head < of.extent(1); ++head) std::fill_n(&of(token, head, 0), of.extent(2), 0.0F);
  });
}

void RecordingSteps::undo_product(TensorView<const float, 2> input, const Matrix& weight, std::span<const float> bias,
                                  TensorView<const float, 2> out) {
  const TrainedMatrix matrix = parameters_.matrix(weight);
  const TensorView<float, 2> of_out = of_.of(out);
  const TensorView<float, 2> of_input = of_.of(input);
  const std::int64_t tokens = input.extent(0);
  dense_product({.a = of_out.data(),
                 .a_stride = of_out.stride(0),
                 .a_transposed = false,
                 .b = matrix.values,
                 .b_stride = matrix.is_transposed ? weight.out_dim() : weight.in_dim(),
                 .b_transposed = matrix.is_transposed,
                 .out = of_input.data(),
                 .out_stride = of_input.stride(0),
                 .rows = tokens,
                 .columns = weight.in_dim(),
                 .depth = weight.out_dim(),
                 .accumulate = true,
                 .arithmetic = weight.arithmetic()});
  const auto add_to_weight = [&](TensorView<const float, 2> left, TensorView<const float, 2> right) {
    dense_product({.a = left.data(),
                   .a_stride = left.stride(0),
                   .a_transposed = true,
                   .b = right.data(),
                   .b_stride = right.stride(0),
                   .b_transposed = false,
                   .out = matrix.gradient,
                   .out_stride = right.extent(1),
                   .rows = left.extent(1),
                   .columns = right.extent(1),
                   .depth = tokens,
                   .accumulate = true,
                   .arithmetic = weight.arithmetic()});
  };
  if (matrix.is_transposed)
    add_to_weight(input, of_out);
  else
    add_to_weight(of_out, input);
  if (!bias.empty()) add_column_sums(of_out, of_values(bias));
}

void RecordingSteps::project(TensorView<const float, 2> input, std::span<const Projection> projections) {
  read(input, "project");
  for (const Projection& projection : projections) {
    (void)parameters_.matrix(projection.weight);
    write(projection.out);
  }
  direct_.project(input, projections);
  for (const Projection& projection : projections)
    keep([this, input, &weight = projection.weight, bias = projection.bias, out = projection.out] {
      undo_product(input, weight, bias, out);
    });
}

void RecordingSteps::norm(TensorView<const float, 3> from, std::span<const float> weight, float eps,
                          TensorView<float, 3> to) {
  const bool is_in_place = from.data() == to.data();
  if (is_in_place)
    change(from, "norm");
  else
    read(from, "norm");
  if (!is_in_place) write(to);
  const TensorView<const float, 3> x = is_in_place ? saved(from) : from;
  direct_.norm(from, weight, eps, to);
  keep([this, from, x, weight, eps, to, is_in_place] {
    if (is_in_place) copy_rows(x, to);
    norm_rows_backward(x, weight, eps, of_.of(to), of_.of(from), of_values(weight));
  });
}

void RecordingSteps::gate(TensorView<const float, 2> gates, TensorView<float, 3> rows) {
  read(gates, "gate");
  change(rows, "gate");
  const TensorView<const float, 3> before = saved(rows);
  direct_.gate(gates, rows);
  keep([this, gates, rows, before] {
    copy_rows(before, rows);
    gate_rows_backward(gates, before, of_.of(rows), of_.of(gates));
  });
}

void RecordingSteps::silu_multiply(TensorView<const float, 2> gates, TensorView<float, 2> rows) {
  read(gates, "silu_multiply");
  change(rows, "silu_multiply");
  const TensorView<const float, 2> before = saved(rows);
  direct_.silu_multiply(gates, rows);
  keep([this, gates, rows, before] {
    copy_rows(one_head(before), one_head(rows));
    activate_multiply_rows_backward(Activation::silu, gates, before, of_.of(rows), of_.of(gates));
  });
}

void RecordingSteps::silu(TensorView<float, 3> rows) {
  change(rows, "silu");
  const TensorView<const float, 3> before = saved(rows);
  direct_.silu(rows);
  keep([this, rows, before] {
    copy_rows(before, rows);
    silu_rows_backward(before, of_.of(rows));
  });
}

void RecordingSteps::convolve(std::span<const float> weight, TensorView<float, 2> state, TensorView<float, 3> rows) {
  change(rows, "convolve");
  const TensorView<const float, 3> before = saved(rows);
  direct_.convolve(weight, state, rows);
  keep([this, weight, rows, before, chunk = layer().chunk] {
    copy_rows(before, rows);
    convolve_rows_backward(chunk, weight, before, of_.of(rows), of_values(weight));
  });
}

void RecordingSteps::blend(TensorView<const float, 3> from, std::span<const float> factors, TensorView<float, 3> to) {
  read(from, "blend");
  change(to, "blend");
  const TensorView<const float, 3> before = saved(to);
  direct_.blend(from, factors, to);
  keep([this, from, factors, to, before] {
    copy_rows(before, to);
    blend_rows_backward(from, factors, before, of_.of(to), of_.of(from), of_values(factors));
  });
}

void RecordingSteps::merge(std::span<const AttendedPart> parts, TensorView<float, 3> out,
                           TensorView<float, 2> log_sum) {
  for (const AttendedPart& part : parts) {
    read(part.out, "merge");
    read(part.log_sum, "merge");
  }
  const bool asked = log_sum.data() != nullptr;
  if (!asked) log_sum = saved_.rows(out.extent(0), out.extent(1));
  write(out);
  if (asked) write(log_sum);
  direct_.merge(parts, out, log_sum);
  keep([this, out, log_sum, asked, parts = std::vector<AttendedPart>(parts.begin(), parts.end())] {
    const TensorView<const float, 2> of_log_sum =
        asked ? TensorView<const float, 2>(of_.of(log_sum)) : TensorView<const float, 2>();
    for (const AttendedPart& part : parts)
      merge_rows_backward(part, out, log_sum, of_.of(out), of_log_sum, of_.of(part.out), of_.of(part.log_sum));
  });
}

}  // namespace attnlab
