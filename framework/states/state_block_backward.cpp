#include "states/state_block_backward.h"

#include <algorithm>

#include "tiles/tile_kernels.h"

namespace attnlab {

StateBlockBackward::StateBlockBackward(const StateLane& lane, const StateGradients& of, FloatRooms& rooms)
    : lane_(lane), of_(of), d_(lane.d), width_((lane.d + 15) / 16 * 16) {
  const std::int64_t of_tokens = kStateBlock * width_, of_state = d_ * width_;
  of_out_ = rooms.take(lane.heads * of_tokens);
  of_queries_ = rooms.take(lane.heads * of_tokens);
  of_keys_ = rooms.take(of_tokens);
  of_written_ = rooms.take(of_tokens);
  of_weights_ = rooms.take(kStateBlock * kStateBlock);
  written_by_channel_ = rooms.take(d_ * kStateBlock);
  of_faded_ = rooms.take(of_state);
  by_value_ = rooms.take(of_state);
  if (lane.is_delta()) {
    of_lookups_ = rooms.take(of_tokens);
    of_missing_ = rooms.take(of_tokens);
  }
  if (lane.fades()) of_fading_ = rooms.take(of_tokens);
}

// to [tokens, d] (+)= a [tokens, d] b [d, d]
void StateBlockBackward::add_product(const float* a, const float* b, float* to, bool accumulate) const {
  tile_product({.a = a,
                .a_stride = width_,
                .b = b,
                .b_stride = width_,
                .out = to,
                .out_stride = width_,
                .rows = block_->count_,
                .columns = static_cast<int>(d_),
                .depth = static_cast<int>(d_),
                .accumulate = accumulate});
}
// to [d, d] (+)= a' b of [tokens, d]
void StateBlockBackward::add_transposed_product(const float* a, const float* b, float* to, bool accumulate) const {
  tile_product_transposed({.a = a,
                           .a_stride = width_,
                           .b = b,
                           .b_stride = width_,
                           .out = to,
                           .out_stride = width_,
                           .rows = static_cast<int>(d_),
                           .columns = static_cast<int>(d_),
                           .depth = block_->count_,
                           .accumulate = accumulate});
}

void StateBlockBackward::undo(const StateBlock& block, const float* faded, const float* after, float* of_state) {
  block_ = &block;
  const auto width = static_cast<int>(width_);
  const auto d = static_cast<int>(d_);
  moves_on_ = after != nullptr;
  if (moves_on_) {
    // Of S0 + k~' W, of which of_faded_ is the gradient.
    for (std::int64_t i = 0; i < d_; ++i)
      scale_copy(of_state + i * width_, d, lane_.fades() ? block.last_fading()[i] : 1, of_faded_ + i * width_);
    transpose_tile(of_faded_, width_, d, d, by_value_, width);
    add_product(block.written_, by_value_, of_keys_, false);
    add_product(block.keys_, of_faded_, of_written_, false);
  }
  transpose_tile(block.written_, width_, block.count_, d, written_by_channel_, kStateBlock);
  if (faded != nullptr) transpose_tile(faded, width_, d, d, by_value_, width);
  undo_read(faded);
  undo_write(faded);
  add_to_rows();
  if (lane_.fades()) undo_decays(faded, after, of_state);
  if (faded == nullptr) return;
  for (std::int64_t i = 0; i < d_; ++i)
    scale_copy(of_faded_ + i * width_, d, lane_.fades() ? block.first_decays_[i] : 1, of_state + i * width_);
}

// out = q^ S0 + P W of every head. The first one sets what nothing was added to yet.
void StateBlockBackward::undo_read(const float* faded) {
  const StateBlock& block = *block_;
  const int count = block.count_;
  bool is_set = moves_on_;
  for (int head = 0; head < lane_.heads; ++head, is_set = true) {
    float* const of_out = block.of_head(of_out_, head);
    float* const of_queries = block.of_head(of_queries_, head);
    const float* const queries = block.of_head(block.queries_, head);
    for (int t = 0; t < count; ++t)
      std::copy_n(&of_.out(block.first_ + t, lane_.first_head + head, 0), d_, of_out + t * width_);
    lower_product(of_out, width_, written_by_channel_, count, d_, of_weights_);
    if (faded != nullptr) {
      add_product(of_out, by_value_, of_queries, false);
      add_transposed_product(queries, of_out, of_faded_, is_set);
    }
    times_lower(of_weights_, block.keys_, width_, count, d_, of_queries, faded != nullptr);
    times_lower_transposed(of_weights_, queries, width_, count, d_, of_keys_, is_set);
    times_lower_transposed(block.pairs_of_head(block.weights_, head), of_out, width_, count, d_, of_written_, is_set);
  }
}

// W = V, or of the delta rule b (V + k^ S0 + A W), from the last token to the first.
void StateBlockBackward::undo_write(const float* faded) {
  const StateBlock& block = *block_;
  const auto d = static_cast<int>(d_);
  if (!lane_.is_delta()) {
    for (int t = 0; t < block.count_; ++t)
      add_scaled(of_written_ + t * width_, d, 1, &of_.v(block.first_ + t, lane_.state, 0));
    return;
  }
  for (int t = block.count_; t-- > 0;) {
    const int token = block.first_ + t, later = block.count_ - 1 - t;
    float* const of_written = of_written_ + t * width_;
    if (later > 0)
      tile_product_transposed({.a = block.below_ + (t + 1) * kStateBlock + t,
                               .a_stride = kStateBlock,
                               .b = of_missing_ + (t + 1) * width_,
                               .b_stride = width_,
                               .out = of_written,
                               .out_stride = width_,
                               .rows = 1,
                               .columns = d,
                               .depth = later,
                               .accumulate = true});
    of_.rates(token, lane_.state) += dot_product(of_written, block.missing_ + t * width_, d);
    scale_copy(of_written, d, lane_.rate(token), of_missing_ + t * width_);
    add_scaled(of_missing_ + t * width_, d, 1, &of_.v(token, lane_.state, 0));
  }
  lower_product(of_missing_, width_, written_by_channel_, block.count_, d_, of_weights_);
  clear_diagonal(of_weights_, block.count_);
  if (faded != nullptr) {
    add_product(of_missing_, by_value_, of_lookups_, false);
    add_transposed_product(block.lookups_, of_missing_, of_faded_, true);
  }
  times_lower(of_weights_, block.keys_, width_, block.count_, d_, of_lookups_, faded != nullptr);
  times_lower_transposed(of_weights_, block.lookups_, width_, block.count_, d_, of_keys_, true);
}

// q^ = scale q exp(c), k^ = -k exp(c), k~ = k exp(-c); of_fading_ = the gradient of c.
void StateBlockBackward::add_to_rows() {
  const StateBlock& block = *block_;
  for (int t = 0; t < block.count_; ++t) {
    const std::int64_t row = t * width_;
    float* const of_key = &of_.k(block.first_ + t, lane_.state, 0);
    const float* const fading = lane_.fades() ? block.fading_ + row : nullptr;
    float* const of_fading = lane_.fades() ? of_fading_ + row : nullptr;
    for (std::int64_t i = 0; i < d_; ++i) {
      float of_one = of_keys_[row + i];
      if (fading != nullptr) {
        of_fading[i] = -block.keys_[row + i] * of_one;
        of_one /= fading[i];
      }
      if (lane_.is_delta()) {
        const float of_lookup = of_lookups_[row + i];
        of_one -= fading != nullptr ? fading[i] * of_lookup : of_lookup;
        if (fading != nullptr) of_fading[i] += block.lookups_[row + i] * of_lookup;
      }
      of_key[i] += of_one;
    }
    for (int head = 0; head < lane_.heads; ++head) {
      const float* const query = block.of_head(block.queries_, head) + row;
      float* const of_query = block.of_head(of_queries_, head) + row;
      float* const to = &of_.q(block.first_ + t, lane_.first_head + head, 0);
      for (std::int64_t i = 0; i < d_; ++i) {
        if (fading != nullptr) of_fading[i] += query[i] * of_query[i];
        to[i] += of_query[i] * lane_.rows.scale * (fading != nullptr ? fading[i] : 1);
      }
    }
  }
}

// c_t is the sum of the log decays up to t without the block's first, which faded the state before. of_after: the
// gradient of the state after the block, where that is read.
void StateBlockBackward::undo_decays(const float* faded, const float* after, const float* of_after) {
  const StateBlock& block = *block_;
  const auto d = static_cast<int>(d_);
  const auto add = [&](int t, const float* of_channels) {
    const int token = block.first_ + t;
    if (!lane_.has_one_decay()) return add_scaled(of_channels, d, 1, &of_.log_decays(token, lane_.state, 0));
    float sum = 0;
    for (std::int64_t i = 0; i < d_; ++i) sum += of_channels[i];
    of_.log_decays(token, lane_.state, 0) += sum;
  };
  float* const sums = of_fading_ + (block.count_ - 1) * width_;
  if (after != nullptr)
    for (std::int64_t i = 0; i < d_; ++i) sums[i] += dot_product(of_after + i * width_, after + i * width_, d);
  for (int t = block.count_ - 1; t > 0; --t) {
    float* const of_c = of_fading_ + t * width_;
    if (t + 1 < block.count_) add_scaled(of_c + width_, d, 1, of_c);
    add(t, of_c);
  }
  if (faded == nullptr) return;
  for (std::int64_t i = 0; i < d_; ++i) of_fading_[i] = dot_product(of_faded_ + i * width_, faded + i * width_, d);
  add(0, of_fading_);
}

}  // namespace attnlab
