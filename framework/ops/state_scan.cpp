#include <attnlab/state_scan.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include <attnlab/api.h>

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
      for (std::int64_t i = 0; i < d; ++i) to[i] = std::exp(rows.log_decays(token, state, i));
  }
};

// One token: memory [d, d] moves on, and is read into out where that is given, in one pass over it. decays, written
// [d]: room; afterwards `written` is what was added under the key.
void move_on(const Lane& lane, int token, float* memory, float* decays, float* written,
             const TensorView<float, 3>* out = nullptr) {
  const std::int64_t d = lane.d;
  if (out != nullptr)
    for (int head = lane.first_head; head < lane.first_head + lane.heads; ++head)
      std::fill_n(&(*out)(token, head, 0), d, 0.0F);
  const float* key = lane.key(token);
  const float* value = lane.value(token);
  lane.decays(token, decays);
  if (lane.is_delta()) {
    std::fill_n(written, d, 0.0F);  // what the faded state holds under the key
    for (std::int64_t i = 0; i < d; ++i) {
      const float factor = key[i] * decays[i];
      for (std::int64_t j = 0; j < d; ++j) written[j] += factor * memory[i * d + j];
    }
    const float rate = lane.rows.rates(token, lane.state);
    for (std::int64_t j = 0; j < d; ++j) written[j] = rate * (value[j] - written[j]);
  } else {
    std::copy_n(value, d, written);
  }
  for (std::int64_t i = 0; i < d; ++i) {
    float* const row = memory + i * d;
    const float decay = decays[i], amount = key[i];
    for (std::int64_t j = 0; j < d; ++j) row[j] = decay * row[j] + amount * written[j];
    if (out == nullptr) continue;
    for (int head = lane.first_head; head < lane.first_head + lane.heads; ++head) {
      const float query = lane.rows.q(token, head, i) * lane.rows.scale;
      float* const to = &(*out)(token, head, 0);
      for (std::int64_t j = 0; j < d; ++j) to[j] += query * row[j];
    }
  }
}

float dot(const float* a, const float* b, std::int64_t count) {
  float sum = 0;
  for (std::int64_t i = 0; i < count; ++i) sum += a[i] * b[i];
  return sum;
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
        decays_(lane.d),
        written_(lane.d),
        of_written_(lane.d),
        recalled_(lane.d),
        of_memory_(size_),
        states_((kBlock + 1) * size_) {}

  void run() {
    const int blocks = (end_ - first_ + kBlock - 1) / kBlock;
    std::vector<float> starts(static_cast<std::size_t>(blocks) * size_);  // the state before each block
    std::vector<float> memory(size_);
    for (int block = 0; block < blocks; ++block) {
      std::ranges::copy(memory, starts.begin() + block * size_);
      for (int token = begin(block); token < end(block); ++token)
        move_on(lane_, token, memory.data(), decays_.data(), written_.data());
    }
    for (int block = blocks; block-- > 0;) {
      std::copy_n(starts.begin() + block * size_, size_, states_.begin());
      for (int token = begin(block); token < end(block); ++token) {
        float* const next = before(token, block) + size_;
        std::copy_n(before(token, block), size_, next);
        move_on(lane_, token, next, decays_.data(), written_.data());
      }
      for (int token = end(block); token-- > begin(block);) undo(token, before(token, block));
    }
  }

 private:
  [[nodiscard]] int begin(int block) const { return first_ + block * kBlock; }
  [[nodiscard]] int end(int block) const { return std::min(end_, begin(block) + kBlock); }
  [[nodiscard]] float* before(int token, int block) { return states_.data() + (token - begin(block)) * size_; }

  // of_memory_ is the gradient of the state after the token, without what the token reads of it, and becomes that of
  // the state before.
  void undo(int token, const float* before) {
    const std::int64_t d = lane_.d;
    const float* const after = before + size_;
    const float* key = lane_.key(token);
    const float scale = lane_.rows.scale;
    for (int head = lane_.first_head; head < lane_.first_head + lane_.heads; ++head) {
      const float* of_out = &of_.out(token, head, 0);
      for (std::int64_t i = 0; i < d; ++i) {
        of_.q(token, head, i) += scale * dot(after + i * d, of_out, d);
        const float query = scale * lane_.rows.q(token, head, i);
        for (std::int64_t j = 0; j < d; ++j) of_memory_[i * d + j] += query * of_out[j];
      }
    }
    // after = decay * before + k written'
    lane_.decays(token, decays_.data());
    find_written(token, before);
    std::ranges::fill(of_written_, 0.0F);
    float* const of_key = &of_.k(token, lane_.state, 0);
    for (std::int64_t i = 0; i < d; ++i) {
      const float* of_row = of_memory_.data() + i * d;
      of_key[i] += dot(of_row, written_.data(), d);
      for (std::int64_t j = 0; j < d; ++j) of_written_[j] += key[i] * of_row[j];
    }
    float* const of_value = &of_.v(token, lane_.state, 0);
    if (lane_.is_delta()) {
      // written = b (v - sum_i k_i decay_i before_i)
      const float rate = lane_.rows.rates(token, lane_.state);
      float of_rate = 0;
      for (std::int64_t j = 0; j < d; ++j) {
        of_rate += of_written_[j] * (lane_.value(token)[j] - recalled_[j]);
        of_value[j] += rate * of_written_[j];
        of_written_[j] *= -rate;  // now of what was recalled
      }
      of_.rates(token, lane_.state) += of_rate;
    } else {
      for (std::int64_t j = 0; j < d; ++j) of_value[j] += of_written_[j];
    }
    float of_one = 0;
    for (std::int64_t i = 0; i < d; ++i) {
      const float* row = before + i * d;
      float* const of_row = of_memory_.data() + i * d;
      float of_decay = dot(of_row, row, d);
      if (lane_.is_delta()) {
        const float found = dot(of_written_.data(), row, d);
        of_key[i] += decays_[i] * found;
        of_decay += key[i] * found;
        for (std::int64_t j = 0; j < d; ++j) of_row[j] += key[i] * of_written_[j];
      }
      if (lane_.has_one_decay())
        of_one += of_decay * decays_[i];
      else
        of_.log_decays(token, lane_.state, i) += of_decay * decays_[i];
      for (std::int64_t j = 0; j < d; ++j) of_row[j] *= decays_[i];
    }
    if (lane_.has_one_decay()) of_.log_decays(token, lane_.state, 0) += of_one;
  }

  // What the token wrote, and what it recalled before.
  void find_written(int token, const float* before) {
    const std::int64_t d = lane_.d;
    std::copy_n(lane_.value(token), d, written_.begin());
    if (!lane_.is_delta()) return;
    std::ranges::fill(recalled_, 0.0F);
    for (std::int64_t i = 0; i < d; ++i) {
      const float factor = lane_.key(token)[i] * decays_[i];
      for (std::int64_t j = 0; j < d; ++j) recalled_[j] += factor * before[i * d + j];
    }
    const float rate = lane_.rows.rates(token, lane_.state);
    for (std::int64_t j = 0; j < d; ++j) written_[j] = rate * (written_[j] - recalled_[j]);
  }

  const Lane& lane_;
  const LaneGradients& of_;
  int first_, end_;  // tokens
  std::int64_t size_;
  std::vector<float> decays_, written_, of_written_, recalled_;  // [d]
  std::vector<float> of_memory_;                                 // [d, d]
  std::vector<float> states_;                                    // [kBlock + 1, d, d]
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
  const int sequences = layer.chunk.sequences();
  const auto rooms = layer.steps.rows(sequences * states, 2 * d);
  parallel_for(static_cast<int>(sequences * states), [&](int index, WorkerSlot) {
    const auto sequence = static_cast<int>(index / states);
    const Lane lane(rows, static_cast<int>(index % states));
    float* const memory = layer.state.row(sequence).data() + lane.state * d * d;
    float* const room = rooms.row(index).data();
    for (int token = layer.chunk.first(sequence); token < layer.chunk.offsets[sequence + 1]; ++token)
      move_on(lane, token, memory, room, room + d, &out);
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
