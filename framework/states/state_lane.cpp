#include "states/state_lane.h"

#include <algorithm>
#include <vector>

#include "states/state_block.h"
#include "states/state_block_backward.h"

namespace attnlab {
namespace {

FloatRooms& rooms_of_thread() {
  thread_local FloatRooms rooms;
  rooms.reuse();
  return rooms;
}

// Rows of d floats, `from_stride` and `to_stride` apart.
void copy_rows(const float* from, std::int64_t from_stride, std::int64_t d, float* to, std::int64_t to_stride) {
  for (std::int64_t i = 0; i < d; ++i) std::copy_n(from + i * from_stride, d, to + i * to_stride);
}

}  // namespace

// One pass over the state where nothing has to be recalled first.
void step_lane(const StateLane& lane, int token, float* state, TensorView<float, 3> out) {
  FloatRooms& rooms = rooms_of_thread();
  const std::int64_t d = lane.d;
  float* const decays = rooms.take(d);
  const float* written = lane.value(token);
  lane.decays(token, decays);
  if (lane.is_delta()) {
    float* const missing = rooms.take(d);
    recall_state(state, d, decays, lane.key(token), missing);
    for (std::int64_t j = 0; j < d; ++j) missing[j] = lane.rate(token) * (written[j] - missing[j]);
    written = missing;
  }
  step_state({.state = state,
              .d = d,
              .decays = decays,
              .key = lane.key(token),
              .written = written,
              .heads = lane.heads,
              .queries = &lane.rows.q(token, lane.first_head, 0),
              .queries_stride = lane.rows.q.stride(1),
              .scale = lane.rows.scale,
              .out = &out(token, lane.first_head, 0),
              .out_stride = out.stride(1)});
}

void run_lane(const StateLane& lane, int first, int end, float* memory, TensorView<float, 3> out) {
  FloatRooms& rooms = rooms_of_thread();
  StateBlock block(lane, rooms);
  const std::int64_t d = lane.d, width = block.width();
  bool is_empty = std::all_of(memory, memory + d * d, [](float number) { return number == 0; });
  float* const state = width == d ? memory : rooms.take(d * width);
  if (width != d) copy_rows(memory, d, d, state, width);
  for (int token = first; token < end; token += block.count()) {
    block.begin(token, end);
    if (!is_empty) block.fade(state);
    const float* const faded = is_empty ? nullptr : state;
    block.write(faded);
    block.read(faded, &out);
    block.move_on(state, is_empty);
    is_empty = false;
  }
  if (width != d) copy_rows(state, width, d, memory, d);
}

// States between blocks are kept, the rest is computed again.
void undo_lane(const StateLane& lane, int first, int end, const StateGradients& of) {
  FloatRooms& rooms = rooms_of_thread();
  StateBlock block(lane, rooms);
  StateBlockBackward backward(lane, of, rooms);
  const std::int64_t size = lane.d * block.width();
  float* const faded = rooms.take(size);
  float* const of_state = rooms.take(size);
  std::vector<int> begins;
  std::vector<std::vector<float>> after;  // of all blocks but the last: not kept, there may be one a token
  for (int token = first; token < end; token += block.count()) {
    block.begin(token, end);
    begins.push_back(token);
    if (token + block.count() == end) break;
    const bool is_empty = after.empty();
    std::vector<float> state = is_empty ? std::vector<float>(size) : after.back();
    if (!is_empty) block.fade(state.data());
    block.write(is_empty ? nullptr : state.data());
    block.move_on(state.data(), is_empty);
    after.push_back(std::move(state));
  }
  for (std::size_t index = begins.size(); index-- > 0;) {
    const bool is_last = index == after.size();
    block.begin(begins[index], is_last ? end : begins[index + 1]);
    if (index > 0) {
      std::ranges::copy(after[index - 1], faded);
      block.fade(faded);
    }
    const float* const before = index > 0 ? faded : nullptr;
    block.write(before);
    block.read(before, nullptr);
    backward.undo(block, before, is_last ? nullptr : after[index].data(), of_state);
  }
}

}  // namespace attnlab
