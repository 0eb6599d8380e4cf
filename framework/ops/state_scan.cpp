#include <attnlab/state_scan.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include <attnlab/api.h>

#include "ops/state_kernels.h"
#include "parallel/parallel.h"

namespace attnlab {
namespace {

constexpr int kBlock = 32;  // tokens whose states are held at once in the backward pass

// The tokens of one state of one sequence.
struct Lane {
  const StateRows& rows;
  int state, kv_head, first_head, heads;  // query heads of the state
  std::int64_t d;

  Lane(const StateRows& of, int index)
      : rows(of),
        state(index),
        kv_head(static_cast<int>(index / (of.log_decays.extent(1) / of.k.extent(1)))),
        first_head(static_cast<int>(index * (of.q.extent(1) / of.log_decays.extent(1)))),
        heads(static_cast<int>(of.q.extent(1) / of.log_decays.extent(1))),
        d(of.k.extent(2)) {}

  [[nodiscard]] bool is_delta() const { return rows.rates.data() != nullptr; }
  [[nodiscard]] bool has_one_decay() const { return rows.log_decays.extent(2) == 1; }
  [[nodiscard]] const float* key(int token) const { return &rows.k(token, kv_head, 0); }
  [[nodiscard]] const float* value(int token) const { return &rows.v(token, kv_head, 0); }
  // decays [d]
  void decays(int token, float* to) const {
    if (has_one_decay())
      std::fill_n(to, d, std::exp(rows.log_decays(token, state, 0)));
    else
      find_decays(&rows.log_decays(token, state, 0), d, to);
  }
  [[nodiscard]] StateReaders readers(int token) const {
    return {.heads = heads, .queries = &rows.q(token, first_head, 0), .stride = rows.q.stride(1), .scale = rows.scale};
  }
};

// What a token has to do with the state before it. [d] each.
struct TokenRooms {
  float* decays;
  float* recalled;  // what the faded state holds under the key; of the delta rule alone
  float* written;   // what is added under the key
};

// One token: the state moves on from `before` to `after`, which may be the same, and is read into out where that is
// given.
void move_on(const Lane& lane, int token, const float* before, float* after, const TokenRooms& rooms,
             const TensorView<float, 3>* out = nullptr) {
  const std::int64_t d = lane.d;
  const float* key = lane.key(token);
  const float* value = lane.value(token);
  lane.decays(token, rooms.decays);
  if (lane.is_delta()) {
    recall_state(before, d, rooms.decays, key, rooms.recalled);
    const float rate = lane.rows.rates(token, lane.state);
    for (std::int64_t j = 0; j < d; ++j) rooms.written[j] = rate * (value[j] - rooms.recalled[j]);
  } else {
    std::copy_n(value, d, rooms.written);
  }
  StateStep step{
      .before = before, .after = after, .d = d, .decays = rooms.decays, .key = key, .written = rooms.written};
  if (out != nullptr) {
    step.readers = lane.readers(token);
    step.out = &(*out)(token, lane.first_head, 0);
    step.out_stride = out->stride(1);
  }
  step_state(step);
}

// The gradients of a lane; kv heads that several states share have gradients of their own for each state.
struct LaneGradients {
  TensorView<const float, 3> out;   // [tokens, heads, d]
  TensorView<float, 3> q;           // [tokens, heads, d]
  TensorView<float, 3> k, v;        // [tokens, states, d]
  TensorView<float, 3> log_decays;  // as the decays
  TensorView<float, 2> rates;
};

class LaneBackward {
 public:
  LaneBackward(const Lane& lane, const LaneGradients& of, int first, int end)
      : lane_(lane),
        of_(of),
        first_(first),
        end_(end),
        size_(lane.d * lane.d),
        tokens_(3 * kBlock * lane.d),
        of_written_(lane.d),
        of_decays_(lane.d),
        of_state_(size_),
        states_((kBlock + 1) * size_) {}

  void run() {
    const int blocks = (end_ - first_ + kBlock - 1) / kBlock;
    std::vector<float> starts(static_cast<std::size_t>(blocks) * size_);  // the state before each block
    for (int block = 0; block + 1 < blocks; ++block) {
      const float* before = starts.data() + block * size_;
      float* const next = starts.data() + (block + 1) * size_;
      for (int token = begin(block); token < end(block); ++token, before = next)
        move_on(lane_, token, before, next, rooms(token, block));
    }
    for (int block = blocks; block-- > 0;) {
      std::copy_n(starts.begin() + block * size_, size_, states_.begin());
      for (int token = begin(block); token < end(block); ++token)
        move_on(lane_, token, before(token, block), before(token, block) + size_, rooms(token, block));
      for (int token = end(block); token-- > begin(block);) undo(token, before(token, block), rooms(token, block));
    }
  }

 private:
  [[nodiscard]] int begin(int block) const { return first_ + block * kBlock; }
  [[nodiscard]] int end(int block) const { return std::min(end_, begin(block) + kBlock); }
  [[nodiscard]] float* before(int token, int block) { return states_.data() + (token - begin(block)) * size_; }
  [[nodiscard]] TokenRooms rooms(int token, int block) {
    float* const first = tokens_.data() + 3 * (token - begin(block)) * lane_.d;
    return {first, first + lane_.d, first + 2 * lane_.d};
  }

  // of_state_ is the gradient of the state after the token, without what the token reads of it, and becomes that of
  // the state before.
  void undo(int token, const float* before, const TokenRooms& rooms) {
    const std::int64_t d = lane_.d;
    const StateStepBackward step{.before = before,
                                 .after = before + size_,
                                 .d = d,
                                 .decays = rooms.decays,
                                 .key = lane_.key(token),
                                 .written = rooms.written,
                                 .readers = lane_.readers(token),
                                 .of_out = &of_.out(token, lane_.first_head, 0),
                                 .of_out_stride = of_.out.stride(1),
                                 .of_state = of_state_.data(),
                                 .of_queries = &of_.q(token, lane_.first_head, 0),
                                 .of_queries_stride = of_.q.stride(1),
                                 .of_key = &of_.k(token, lane_.state, 0),
                                 .of_written = of_written_.data(),
                                 .of_decays = of_decays_.data(),
                                 .recalls = lane_.is_delta()};
    undo_reads(step);
    float* const of_value = &of_.v(token, lane_.state, 0);
    if (lane_.is_delta()) {
      // written = b (v - sum_i k_i decay_i before_i)
      const float rate = lane_.rows.rates(token, lane_.state);
      float of_rate = 0;
      for (std::int64_t j = 0; j < d; ++j) {
        of_rate += of_written_[j] * (lane_.value(token)[j] - rooms.recalled[j]);
        of_value[j] += rate * of_written_[j];
        of_written_[j] *= -rate;  // now of what was recalled
      }
      of_.rates(token, lane_.state) += of_rate;
    } else {
      for (std::int64_t j = 0; j < d; ++j) of_value[j] += of_written_[j];
    }
    undo_fading(step);
    if (lane_.has_one_decay()) {
      float of_one = 0;
      for (std::int64_t i = 0; i < d; ++i) of_one += of_decays_[i] * rooms.decays[i];
      of_.log_decays(token, lane_.state, 0) += of_one;
    } else {
      for (std::int64_t i = 0; i < d; ++i) of_.log_decays(token, lane_.state, i) += of_decays_[i] * rooms.decays[i];
    }
  }

  const Lane& lane_;
  const LaneGradients& of_;
  int first_, end_;  // tokens
  std::int64_t size_;
  std::vector<float> tokens_;                  // [kBlock, 3, d]: rooms of the tokens of a block
  std::vector<float> of_written_, of_decays_;  // [d]
  std::vector<float> of_state_;                // [d, d]
  std::vector<float> states_;                  // [kBlock + 1, d, d]
};

// to [tokens, kv_heads, d] += the sum over the states of each kv head, in order.
void add_states(TensorView<const float, 3> from, TensorView<float, 3> to) {
  const std::int64_t of_head = from.extent(1) / to.extent(1);
  for (std::int64_t token = 0; token < from.extent(0); ++token)
    for (std::int64_t state = 0; state < from.extent(1); ++state)
      for (std::int64_t i = 0; i < from.extent(2); ++i) to(token, state / of_head, i) += from(token, state, i);
}

void scan_backward(const ChunkView& chunk, const StateRows& rows, TensorView<const float, 3> out, Gradients& of) {
  const std::int64_t tokens = rows.k.extent(0), states = rows.log_decays.extent(1), d = rows.k.extent(2);
  std::vector<float> keys(static_cast<std::size_t>(tokens * states * d)), values(keys.size());
  const LaneGradients gradients{.out = of.of(out),
                                .q = of.of(rows.q),
                                .k = {keys.data(), {tokens, states, d}},
                                .v = {values.data(), {tokens, states, d}},
                                .log_decays = of.of(rows.log_decays),
                                .rates = rows.rates.data() == nullptr ? TensorView<float, 2>() : of.of(rows.rates)};
  parallel_for(static_cast<int>(chunk.sequences() * states), [&](int index, WorkerSlot) {
    const auto sequence = static_cast<int>(index / states);
    const Lane lane(rows, static_cast<int>(index % states));
    LaneBackward(lane, gradients, chunk.first(sequence), chunk.offsets[sequence + 1]).run();
  });
  add_states(gradients.k, of.of(rows.k));
  add_states(gradients.v, of.of(rows.v));
}

}  // namespace

void scan_states(const LayerContext& layer, const StateRows& rows, TensorView<float, 3> out) {
  const std::int64_t tokens = rows.k.extent(0), states = rows.log_decays.extent(1), d = rows.k.extent(2);
  ATTNLAB_CHECK(rows.q.extent(1) % states == 0 && states % rows.k.extent(1) == 0, "heads that do not share states");
  ATTNLAB_CHECK(rows.q.stride(2) == 1 && rows.k.stride(2) == 1 && rows.v.stride(2) == 1 && out.stride(2) == 1 &&
                    rows.log_decays.stride(2) == 1,
                "rows of a state that are not dense");
  const int sequences = layer.chunk.sequences();
  const auto rooms = layer.steps.rows(sequences * states, 3 * d);
  parallel_for(static_cast<int>(sequences * states), [&](int index, WorkerSlot) {
    const auto sequence = static_cast<int>(index / states);
    const Lane lane(rows, static_cast<int>(index % states));
    float* const memory = layer.state.row(sequence).data() + lane.state * d * d;
    float* const room = rooms.row(index).data();
    for (int token = layer.chunk.first(sequence); token < layer.chunk.offsets[sequence + 1]; ++token)
      move_on(lane, token, memory, memory, {room, room + d, room + 2 * d}, &out);
  });
  const double matrices = static_cast<double>(states * d * d);
  const double updates = rows.rates.data() == nullptr ? 2 : 3;
  layer.steps.own_work({.multiply_adds = static_cast<double>(tokens) *
                                         (updates * matrices + static_cast<double>(rows.q.extent(1) * d * d)),
                        .bytes = 2.0 * sizeof(float) * matrices * sequences});
  const auto touch = [](const auto& view) { return all_of(view); };
  const std::span<const float> rates = rows.rates.data() == nullptr ? std::span<const float>() : touch(rows.rates);
  layer.steps.custom(
      {.reads = {touch(rows.q), touch(rows.k), touch(rows.v), touch(rows.log_decays), rates}, .writes = {touch(out)}},
      [rows, out, chunk = layer.chunk](Gradients& of) { scan_backward(chunk, rows, out, of); });
}

}  // namespace attnlab
