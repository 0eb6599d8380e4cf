#include "ops/products.h"

#include <algorithm>
#include <vector>

#include "base/at_least.h"
#include "ops/coded_panel.h"
#include "ops/onednn_product.h"
#include "ops/product_kernels.h"
#include "ops/rounded_rows.h"
#include "ops/vector_kernels.h"
#include "parallel/parallel.h"

namespace attnlab {
namespace {

// Up to this many tokens weights are streamed past the tokens; beyond, arithmetic counts. Measured on a Zen 5.
constexpr int kStreamTokens = 8;
// Tokens of one oneDNN task. Fixed: the split must not depend on the number of threads. Measured on a Zen 5, two
// threads: 256 tokens reach 353-360 GFLOP/s of 414 where 128 reach 327-343.
constexpr int kBlockTokens = 256;
// Floats from token to token of a task's own buffer. Not the panel's width: for dense outputs oneDNN takes another
// kernel, which was 5 % slower.
constexpr int kBufferStride = kPanelOutputs + 16;

int token_blocks(std::int64_t tokens) {
  return tokens <= kStreamTokens ? 1 : static_cast<int>((tokens + kBlockTokens - 1) / kBlockTokens);
}

void check_bias(const Matrix& weight, std::span<const float> bias) {
  ATTNLAB_CHECK(bias.empty() || static_cast<std::int64_t>(bias.size()) == weight.out_dim(),
                "a bias of another width than the outputs");
}

// A token alone waits for weights; several share them.
Work work_of(TensorView<const float, 2> input, double outputs) {
  const double weights = static_cast<double>(input.extent(1)) * outputs;
  return Work::multiply_adds(weights * (2 + static_cast<double>(input.extent(0))) / 4);
}

// Room of the running task for one widened panel; grows to the largest matrix and stays.
float* widened_panel(const Matrix& matrix, int panel) {
  thread_local std::vector<float> room;
  const std::size_t count = static_cast<std::size_t>(matrix.in_dim()) * matrix.panel_stride(panel);
  if (room.size() < count) room.resize(count);
  if (is_coded(matrix.type()))
    widen_codes({matrix.type(), matrix.in_dim(), matrix.panel_stride(panel)}, matrix.panel(panel), room.data());
  else
    widen(matrix.panel(panel), matrix.type(), static_cast<std::int64_t>(count), room.data());
  return room.data();
}

const float* f32_panel(const Matrix& matrix, int panel) {
  return matrix.type() == ElementType::f32 ? reinterpret_cast<const float*>(matrix.panel(panel))
                                           : widened_panel(matrix, panel);
}

// Both sides of the bf16 products of a call, rounded once for all its tasks. Null: a task rounds for itself.
struct RoundedSides {
  const std::uint16_t* input = nullptr;          // [tokens, in_dim]
  const std::uint16_t* const* panels = nullptr;  // of all weights, one after the other
};

void round_panel(const Matrix& weight, int panel, std::uint16_t* to) {
  const auto count = static_cast<std::size_t>(weight.in_dim() * weight.panel_stride(panel));
  vec::narrow_to_bf16({f32_panel(weight, panel), count}, to);
}

// Weights weight_of(0) .. weight_of(count - 1). What is rounded lies in room of the calling thread until its next call.
template <class WeightOf>
RoundedSides rounded_sides(TensorView<const float, 2> input, int count, const WeightOf& weight_of) {
  thread_local std::vector<std::uint16_t> room_of_input, room_of_panels;
  thread_local std::vector<const std::uint16_t*> places;
  struct Rounding {
    const Matrix* weight;
    int panel;
    std::uint16_t* to;
  };
  thread_local std::vector<Rounding> roundings;
  const std::int64_t tokens = input.extent(0);
  const auto is_rounded = [&](const Matrix& weight) { return multiplied_in(weight, tokens) == Arithmetic::bf16; };
  bool rounds = false;
  std::int64_t elements = 0;
  for (int i = 0; i < count; ++i) {
    const Matrix& weight = weight_of(i);
    rounds = rounds || is_rounded(weight);
    if (is_rounded(weight) && weight.type() != ElementType::bf16)
      elements += weight.in_dim() * weight.panels() * kPanelOutputs;
  }
  if (!rounds) return {};
  RoundedSides sides{.input = rounded_rows(input.data(), input.stride(0), tokens, input.extent(1), room_of_input)};
  if (token_blocks(tokens) == 1 || elements > kMostRounded) return sides;  // each panel is used once, or too large
  std::uint16_t* to = at_least(room_of_panels, elements);
  places.clear();
  roundings.clear();
  for (int i = 0; i < count; ++i) {
    const Matrix& weight = weight_of(i);
    for (int panel = 0; panel < weight.panels(); ++panel) {
      const bool is_stored = !is_rounded(weight) || weight.type() == ElementType::bf16;
      places.push_back(is_stored ? nullptr : to);
      if (is_stored) continue;
      roundings.push_back({&weight, panel, to});
      to += weight.in_dim() * weight.panel_stride(panel);
    }
  }
  const Rounding* const all = roundings.data();  // of this thread, whichever thread runs a task
  parallel_for(static_cast<int>(roundings.size()), Work::numbers(static_cast<double>(elements)),
               [all](int index, WorkerSlot) { round_panel(*all[index].weight, all[index].panel, all[index].to); });
  sides.panels = places.data();
  return sides;
}

// Rows first .. of the input times a panel, both rounded to bf16; `number`: of the panel among all of the call.
void bf16_panel_product(TensorView<const float, 2> input, std::int64_t first, std::int64_t tokens,
                        const RoundedSides& sides, const Matrix& weight, int panel, int number, float* out,
                        std::int64_t out_stride) {
  thread_local std::vector<std::uint16_t> room_of_input, room_of_panel;
  const std::int64_t in_dim = weight.in_dim(), stride = weight.panel_stride(panel);
  const std::uint16_t* rows = nullptr;
  if (sides.input != nullptr) {
    rows = sides.input + first * in_dim;
  } else {
    std::uint16_t* own = at_least(room_of_input, tokens * in_dim);
    for (std::int64_t token = 0; token < tokens; ++token)
      vec::narrow_to_bf16(input.row(first + token), own + token * in_dim);
    rows = own;
  }
  const auto* values = reinterpret_cast<const std::uint16_t*>(weight.panel(panel));
  if (weight.type() != ElementType::bf16) {
    values = sides.panels == nullptr ? nullptr : sides.panels[number];
    if (values == nullptr) {
      std::uint16_t* own = at_least(room_of_panel, in_dim * stride);
      round_panel(weight, panel, own);
      values = own;
    }
  }
  onednn_bf16_product({.a = rows,
                       .a_row = in_dim,
                       .a_column = 1,
                       .b = values,
                       .b_row = stride,
                       .b_column = 1,
                       .out = out,
                       .out_stride = out_stride,
                       .rows = tokens,
                       .columns = weight.panel_outputs(panel),
                       .depth = in_dim,
                       .accumulate = false,
                       .is_kept = true});
}

// One panel of outputs for the tokens of one block; `number`: of the panel among all of the call.
void panel_product(TensorView<const float, 2> input, const RoundedSides& sides, const Matrix& weight, int panel,
                   int number, int block, std::span<const float> bias, float* out, std::int64_t out_stride) {
  const std::int64_t first = static_cast<std::int64_t>(block) * kBlockTokens;
  const bool streams = input.extent(0) <= kStreamTokens;
  const std::int64_t tokens = streams ? input.extent(0) : std::min<std::int64_t>(kBlockTokens, input.extent(0) - first);
  const float* rows = input.data() + first * input.stride(0);
  const int outputs = weight.panel_outputs(panel);
  if (streams) {
    stream_product({.input = rows,
                    .input_stride = input.stride(0),
                    .tokens = static_cast<int>(tokens),
                    .in_dim = weight.in_dim(),
                    .panel = weight.panel(panel),
                    .type = weight.type(),
                    .panel_stride = weight.panel_stride(panel),
                    .out = out,
                    .out_stride = out_stride,
                    .outputs = outputs});
  } else if (multiplied_in(weight, input.extent(0)) == Arithmetic::bf16) {
    bf16_panel_product(input, first, tokens, sides, weight, panel, number, out, out_stride);
  } else {
    onednn_product({.input = rows,
                    .input_stride = input.stride(0),
                    .tokens = tokens,
                    .in_dim = weight.in_dim(),
                    .panel = f32_panel(weight, panel),
                    .panel_stride = weight.panel_stride(panel),
                    .out = out,
                    .out_stride = out_stride,
                    .outputs = outputs});
  }
  if (!bias.empty()) {
    const std::span<const float> part = bias.subspan(static_cast<std::size_t>(panel) * kPanelOutputs, outputs);
    for (std::int64_t token = 0; token < tokens; ++token)
      vec::add({out + token * out_stride, static_cast<std::size_t>(outputs)}, part);
  }
}

}  // namespace

Arithmetic multiplied_in(const Matrix& weight, std::int64_t tokens) noexcept {
  return tokens <= kStreamTokens ? Arithmetic::f32 : weight.arithmetic();
}

void project(TensorView<const float, 2> input, std::span<const Projection> projections) {
  if (input.extent(0) == 0) return;
  int panels = 0;
  double outputs = 0;
  for (const Projection& projection : projections) {
    ATTNLAB_CHECK(projection.weight.in_dim() == input.extent(1), "the input of a product has another width");
    ATTNLAB_CHECK(projection.weight.out_dim() == projection.out.extent(1), "the output of a product has another width");
    check_bias(projection.weight, projection.bias);
    panels += projection.weight.panels();
    outputs += static_cast<double>(projection.weight.out_dim());
  }
  const int blocks = token_blocks(input.extent(0));
  const RoundedSides sides =
      rounded_sides(input, static_cast<int>(projections.size()),
                    [&](int index) -> const Matrix& { return projections[static_cast<std::size_t>(index)].weight; });
  parallel_for(panels * blocks, work_of(input, outputs), [&](int index, WorkerSlot) {
    // Blocks innermost: consecutive tasks share a panel.
    const int number = index / blocks;
    int panel = number;
    const int block = index % blocks;
    const Projection* projection = projections.data();
    while (panel >= projection->weight.panels()) panel -= (projection++)->weight.panels();
    float* out = projection->out.data() + static_cast<std::int64_t>(block) * kBlockTokens * projection->out.stride(0) +
                 panel * kPanelOutputs;
    panel_product(input, sides, projection->weight, panel, number, block, projection->bias, out,
                  projection->out.stride(0));
  });
}

void project(TensorView<const float, 2> input, const Projection& projection) {
  project(input, {&projection, 1});
}

void gated_project(TensorView<const float, 2> input, const Matrix& gate, const Matrix& up,
                   std::span<const float> gate_bias, std::span<const float> up_bias, Activation activation,
                   TensorView<float, 2> out) {
  if (input.extent(0) == 0) return;
  ATTNLAB_CHECK(gate.out_dim() == up.out_dim() && gate.out_dim() == out.extent(1), "halves of different widths");
  ATTNLAB_CHECK(gate.in_dim() == input.extent(1) && up.in_dim() == input.extent(1),
                "the input of a product has another width");
  check_bias(gate, gate_bias);
  check_bias(up, up_bias);
  const int blocks = token_blocks(input.extent(0));
  const RoundedSides sides =
      rounded_sides(input, 2, [&](int index) -> const Matrix& { return index == 0 ? gate : up; });
  const double outputs = 2 * static_cast<double>(gate.out_dim());
  parallel_for(gate.panels() * blocks, work_of(input, outputs), [&](int index, WorkerSlot) {
    const int panel = index / blocks;
    const int block = index % blocks;
    const std::int64_t first = static_cast<std::int64_t>(block) * kBlockTokens;
    const std::int64_t tokens = std::min<std::int64_t>(kBlockTokens, input.extent(0) - first);
    alignas(64) float gates[kBlockTokens * kBufferStride];  // 144 KiB of the task's stack
    float* to = out.data() + first * out.stride(0) + panel * kPanelOutputs;
    panel_product(input, sides, gate, panel, panel, block, gate_bias, gates, kBufferStride);
    panel_product(input, sides, up, panel, gate.panels() + panel, block, up_bias, to, out.stride(0));
    for (std::int64_t token = 0; token < tokens; ++token)
      vec::activate_multiply(activation,
                             {to + token * out.stride(0), static_cast<std::size_t>(gate.panel_outputs(panel))},
                             gates + token * kBufferStride);
  });
}

}  // namespace attnlab
