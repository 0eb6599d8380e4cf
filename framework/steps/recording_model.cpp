// Recorded steps between the layers.
#include <algorithm>

#include <attnlab/random.h>

#include "ops/products.h"
#include "ops/row_backward.h"
#include "ops/row_steps.h"
#include "parallel/parallel.h"
#include "steps/recording_steps.h"

namespace attnlab {
namespace {

constexpr float kSum[] = {1, 1};

}  // namespace

void RecordingSteps::embed(std::span<const std::int32_t> tokens, const Embedding& embedding, TensorView<float, 2> out) {
  write(out);
  ModelSteps::embed(tokens, embedding, out);
  keep([this, embedding, out, ids = std::vector<std::int32_t>(tokens.begin(), tokens.end())] {
    const std::int64_t width = out.extent(1);
    float* table = embedding.tied != nullptr
                       ? parameters_.matrix(*embedding.tied).gradient
                       : parameters_.table(embedding.table, static_cast<std::size_t>(embedding.vocab * width)).data();
    const TensorView<float, 2> of = of_.of(out);
    // A task owns some of the columns, so that rows of the same id are added in order.
    constexpr std::int64_t columns = 16;
    const Work work = Work::numbers(static_cast<double>(of.elements()));
    parallel_for(static_cast<int>((width + columns - 1) / columns), work, [&](int task, WorkerSlot) {
      const std::int64_t first = task * columns, end = std::min(first + columns, width);
      for (std::size_t token = 0; token < ids.size(); ++token) {
        float* to = table + ids[token] * width;
        const float* from = of.row(static_cast<std::int64_t>(token)).data();
        for (std::int64_t i = first; i < end; ++i) to[i] += from[i];
      }
    });
  });
}

void RecordingSteps::add_positions(const PositionScheme& scheme, std::span<const Position> positions,
                                   TensorView<float, 2> embeddings) {
  direct_.add_positions(scheme, positions, embeddings);
  keep([this, &scheme, positions, embeddings] { scheme.embeddings_backward(positions, of_.of(embeddings), of_); });
}

void RecordingSteps::add_norm(TensorView<float, 2> x, const float* delta, const Norm& norm, TensorView<float, 2> out) {
  change(x, "add_norm");
  const TensorView<const float, 2> added(delta, {x.extent(0), x.extent(1)});
  if (delta != nullptr) change(added, "add_norm");
  write(out);
  const std::uint64_t key = SplitMix64(dropout_key_, dropped_).next();
  const float share = added.data() == nullptr ? 0 : dropout_;
  TensorView<const float, 2> whole{};  // what was added, before some of it was dropped
  if (share > 0) {
    ++dropped_;
    whole = saved(added);
    drop({const_cast<float*>(delta), {x.extent(0), x.extent(1)}}, share, key);  // a buffer of the pass
  }
  direct_.add_norm(x, delta, norm, out);
  // Only these steps look at the residual stream, and they keep what they saw of it: nothing is put back.
  keep([this, x, added, whole, norm, out, share, key, input = saved(TensorView<const float, 2>(x))] {
    const TensorView<float, 2> of_x = of_.of(x);
    const TensorView<const float, 2> of_out = of_.of(out);
    if (norm.kind == NormKind::none)
      blend_rows(one_head(of_out), kSum, one_head(of_x));
    else if (norm.kind == NormKind::layer)
      layer_norm_rows_backward(input, norm.weight, norm.eps, of_out, of_x, of_values(norm.weight),
                               of_values(norm.bias));
    else
      norm_rows_backward(one_head(input), norm.weight, norm.eps, one_head(of_out), one_head(of_x),
                         of_values(norm.weight));
    if (added.data() == nullptr) return;
    const TensorView<float, 2> of_added = of_.of(added);
    blend_rows(one_head(TensorView<const float, 2>(of_x)), kSum, one_head(of_added));
    if (share == 0) return;
    drop(of_added, share, key);
    copy_rows(one_head(whole),
              one_head(TensorView<float, 2>(const_cast<float*>(added.data()), {added.extent(0), added.extent(1)})));
  });
}

void RecordingSteps::drop(TensorView<float, 2> rows, float share, std::uint64_t key) {
  const auto limit = static_cast<std::uint64_t>(static_cast<double>(share) * 0x1p64);
  const Work work = Work::numbers(static_cast<double>(rows.elements()));
  parallel_for(static_cast<int>(rows.extent(0)), work, [&](int row, WorkerSlot) {
    SplitMix64 draws(key, static_cast<std::uint64_t>(row));
    for (float& value : rows.row(row)) value = draws.next() < limit ? 0 : value / (1 - share);
  });
}

void RecordingSteps::gated_project(TensorView<const float, 2> input, const GatedProjection& halves,
                                   TensorView<float, 2> out) {
  read(input, "gated_project");
  write(out);
  const std::int64_t tokens = input.extent(0), width = out.extent(1);
  const TensorView<float, 2> gate = rows(tokens, width), up = rows(tokens, width);
  const Projection projections[] = {{halves.gate, gate, halves.gate_bias}, {halves.up, up, halves.up_bias}};
  project(input, projections);
  std::copy_n(up.data(), up.elements(), out.data());
  activate_multiply_rows(halves.activation, gate, out);
  keep([this, gate, up, out, activation = halves.activation] {
    const TensorView<float, 2> of_up = of_.of(up);
    std::copy_n(of_.of(out).data(), of_up.elements(), of_up.data());
    activate_multiply_rows_backward(activation, gate, up, of_up, of_.of(gate));
  });
}

void RecordingSteps::activate(Activation activation, TensorView<float, 2> rows) {
  change(rows, "activate");
  const TensorView<const float, 2> before = saved(rows);
  direct_.activate(activation, rows);
  keep([this, activation, rows, before] {
    copy_rows(one_head(before), one_head(rows));
    activate_rows_backward(activation, before, of_.of(rows));
  });
}

}  // namespace attnlab
