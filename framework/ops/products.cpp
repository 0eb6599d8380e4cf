#include "ops/products.h"

#include <algorithm>
#include <vector>

#include "ops/coded_panel.h"
#include "ops/onednn_product.h"
#include "ops/product_kernels.h"
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

// Room of the running task; it grows and stays.
std::uint16_t* at_least(std::vector<std::uint16_t>& room, std::int64_t count) {
  if (room.size() < static_cast<std::size_t>(count)) room.resize(static_cast<std::size_t>(count));
  return room.data();
}

// input [tokens, in_dim] times a panel, both rounded to bf16.
void bf16_panel_product(const float* input, std::int64_t input_stride, std::int64_t tokens, const Matrix& weight,
                        int panel, float* out, std::int64_t out_stride) {
  thread_local std::vector<std::uint16_t> room_of_input, room_of_panel;
  const std::int64_t in_dim = weight.in_dim(), stride = weight.panel_stride(panel);
  std::uint16_t* rows = at_least(room_of_input, tokens * in_dim);
  for (std::int64_t token = 0; token < tokens; ++token)
    vec::narrow_to_bf16({input + token * input_stride, static_cast<std::size_t>(in_dim)}, rows + token * in_dim);
  const auto* values = reinterpret_cast<const std::uint16_t*>(weight.panel(panel));
  if (weight.type() != ElementType::bf16) {
    std::uint16_t* narrow = at_least(room_of_panel, in_dim * stride);
    vec::narrow_to_bf16({f32_panel(weight, panel), static_cast<std::size_t>(in_dim * stride)}, narrow);
    values = narrow;
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

// One panel of outputs for the tokens of one block.
void panel_product(TensorView<const float, 2> input, const Matrix& weight, int panel, int block,
                   std::span<const float> bias, float* out, std::int64_t out_stride) {
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
    bf16_panel_product(rows, input.stride(0), tokens, weight, panel, out, out_stride);
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
  for (const Projection& projection : projections) {
    ATTNLAB_CHECK(projection.weight.in_dim() == input.extent(1), "the input of a product has another width");
    ATTNLAB_CHECK(projection.weight.out_dim() == projection.out.extent(1), "the output of a product has another width");
    check_bias(projection.weight, projection.bias);
    panels += projection.weight.panels();
  }
  const int blocks = token_blocks(input.extent(0));
  parallel_for(panels * blocks, [&](int index, WorkerSlot) {
    // Blocks innermost: consecutive tasks share a panel.
    int panel = index / blocks;
    const int block = index % blocks;
    const Projection* projection = projections.data();
    while (panel >= projection->weight.panels()) panel -= (projection++)->weight.panels();
    float* out = projection->out.data() + static_cast<std::int64_t>(block) * kBlockTokens * projection->out.stride(0) +
                 panel * kPanelOutputs;
    panel_product(input, projection->weight, panel, block, projection->bias, out, projection->out.stride(0));
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
  parallel_for(gate.panels() * blocks, [&](int index, WorkerSlot) {
    const int panel = index / blocks;
    const int block = index % blocks;
    const std::int64_t first = static_cast<std::int64_t>(block) * kBlockTokens;
    const std::int64_t tokens = std::min<std::int64_t>(kBlockTokens, input.extent(0) - first);
    alignas(64) float gates[kBlockTokens * kBufferStride];  // 144 KiB of the task's stack
    float* to = out.data() + first * out.stride(0) + panel * kPanelOutputs;
    panel_product(input, gate, panel, block, gate_bias, gates, kBufferStride);
    panel_product(input, up, panel, block, up_bias, to, out.stride(0));
    for (std::int64_t token = 0; token < tokens; ++token)
      vec::activate_multiply(activation,
                             {to + token * out.stride(0), static_cast<std::size_t>(gate.panel_outputs(panel))},
                             gates + token * kBufferStride);
  });
}

}  // namespace attnlab
