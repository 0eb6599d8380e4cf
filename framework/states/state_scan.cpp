#include <attnlab/state_scan.h>

#include <algorithm>
#include <vector>

#include <attnlab/api.h>

#include "parallel/parallel.h"
#include "states/state_lane.h"

namespace attnlab {
namespace {

// to [tokens, kv_heads, d] += the sum over the states of each kv head, in order.
void add_states(TensorView<const float, 3> from, TensorView<float, 3> to) {
  const std::int64_t of_head = from.extent(1) / to.extent(1);
  for (std::int64_t token = 0; token < from.extent(0); ++token)
    for (std::int64_t state = 0; state < from.extent(1); ++state)
      for (std::int64_t i = 0; i < from.extent(2); ++i) to(token, state / of_head, i) += from(token, state, i);
}

void scan_backward(const ChunkView& chunk, const StateRows& rows, TensorView<const float, 3> out, Gradients& of) {
  const std::int64_t tokens = rows.k.extent(0), states = states_of(rows), d = rows.k.extent(2);
  const bool is_shared = states != rows.k.extent(1);  // kv heads are, by states
  std::vector<float> keys(is_shared ? tokens * states * d : 0), values(keys.size());
  const StateGradients gradients{
      .out = of.of(out),
      .q = of.of(rows.q),
      .k = is_shared ? TensorView<float, 3>(keys.data(), {tokens, states, d}) : of.of(rows.k),
      .v = is_shared ? TensorView<float, 3>(values.data(), {tokens, states, d}) : of.of(rows.v),
      .log_decays = rows.log_decays.data() == nullptr ? TensorView<float, 3>() : of.of(rows.log_decays),
      .rates = rows.rates.data() == nullptr ? TensorView<float, 2>() : of.of(rows.rates)};
  const Work work = Work::multiply_adds(static_cast<double>(tokens * states * d * d));
  parallel_for(static_cast<int>(chunk.sequences() * states), work, [&](int index, WorkerSlot) {
    const auto sequence = static_cast<int>(index / states);
    const StateLane lane(rows, static_cast<int>(index % states));
    undo_lane(lane, chunk.first(sequence), chunk.offsets[sequence + 1], gradients);
  });
  if (!is_shared) return;
  add_states(gradients.k, of.of(rows.k));
  add_states(gradients.v, of.of(rows.v));
}

// Of one state and `tokens` tokens: a token alone goes over the state, more of them are blocks of pairs.
double multiply_adds(const StateRows& rows, std::int64_t tokens) {
  const auto d = static_cast<double>(rows.k.extent(2));
  const double heads = static_cast<double>(rows.q.extent(1)) / static_cast<double>(states_of(rows));
  const bool is_delta = rows.rates.data() != nullptr;
  const double writes = is_delta ? 2 : 1;  // recalled before it is written
  if (tokens == 1) return d * d * (writes + heads);
  double sum = 0;
  for (std::int64_t first = 0; first < tokens; first += kStateBlock) {
    const auto count = static_cast<double>(std::min<std::int64_t>(kStateBlock, tokens - first));
    const double pairs = count * (count + 1) / 2;
    sum += count * d * d * (writes + heads) + 2 * pairs * d * (heads + (is_delta ? 1 : 0));
  }
  return sum;
}

}  // namespace

void scan_states(const LayerContext& layer, const StateRows& rows, TensorView<float, 3> out) {
  const std::int64_t states = states_of(rows), d = rows.k.extent(2);
  ATTNLAB_CHECK(rows.q.extent(1) % states == 0 && states % rows.k.extent(1) == 0, "heads that do not share states");
  ATTNLAB_CHECK(rows.q.stride(2) == 1 && rows.k.stride(2) == 1 && rows.v.stride(2) == 1 && out.stride(2) == 1 &&
                    (rows.log_decays.data() == nullptr || rows.log_decays.stride(2) == 1),
                "rows of a state that are not dense");
  const int sequences = layer.chunk.sequences();
  OwnWork work;
  for (int sequence = 0; sequence < sequences; ++sequence) {
    if (layer.chunk.tokens_of(sequence) == 0) continue;
    work.multiply_adds += static_cast<double>(states) * multiply_adds(rows, layer.chunk.tokens_of(sequence));
    work.bytes += 2.0 * sizeof(float) * static_cast<double>(states * d * d);
  }
  parallel_for(static_cast<int>(sequences * states), Work::multiply_adds(work.multiply_adds),
               [&](int index, WorkerSlot) {
                 const auto sequence = static_cast<int>(index / states);
                 const StateLane lane(rows, static_cast<int>(index % states));
                 float* const memory = layer.state.row(sequence).data() + lane.state * d * d;
                 const int first = layer.chunk.first(sequence), end = layer.chunk.offsets[sequence + 1];
                 if (end - first == 1)
                   step_lane(lane, first, memory, out);
                 else
                   run_lane(lane, first, end, memory, out);
               });
  layer.steps.own_work(work);
  const auto touch = [](const auto& view) {
    return view.data() == nullptr ? std::span<const float>() : std::span<const float>(all_of(view));
  };
  layer.steps.custom({.reads = {touch(rows.q), touch(rows.k), touch(rows.v), touch(rows.log_decays), touch(rows.rates)},
                      .writes = {touch(out)}},
                     [rows, out, chunk = layer.chunk](Gradients& of) { scan_backward(chunk, rows, out, of); });
}

}  // namespace attnlab
