#include "states/state_block.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "base/at_least.h"
#include "tiles/tile_kernels.h"

namespace attnlab {
namespace {

constexpr std::int64_t kVector = 16;
// exp(+-30) times numbers of any use stays far inside f32, and c, a sum of at most 63 numbers, is exact to 1e-4.
constexpr float kMostFading = 30;
// Triangles are computed in strips of so many rows, each up to its last column.
constexpr int kStrip = 32;
// Tokens whose triangular system is solved one by one; what they have of earlier ones is a product.
constexpr int kSolved = 16;

template <class Body>
void for_strips(int rows, const Body& body) {
  for (int row = 0; row < rows; row += kStrip) body(row, std::min(kStrip, rows - row));
}

}  // namespace

float* FloatRooms::take(std::int64_t count) {
  constexpr std::uintptr_t line = 64;
  if (next_ == memory_.size()) memory_.emplace_back();
  float* const first = at_least(memory_[next_++], count + kVector);
  const auto over = reinterpret_cast<std::uintptr_t>(first) % line;
  return first + (over == 0 ? 0 : (line - over) / sizeof(float));
}

void lower_product(const float* a, std::int64_t width, const float* b, int rows, std::int64_t depth, float* to) {
  for_strips(rows, [&](int row, int count) {
    float* const strip = to + row * kStateBlock;
    tile_product({.a = a + row * width,
                  .a_stride = width,
                  .b = b,
                  .b_stride = kStateBlock,
                  .out = strip,
                  .out_stride = kStateBlock,
                  .rows = count,
                  .columns = row + count,
                  .depth = static_cast<int>(depth),
                  .accumulate = false});
    for (int i = 0; i < count; ++i)
      std::fill(strip + i * kStateBlock + row + i + 1, strip + i * kStateBlock + row + count, 0.0F);
  });
}

void times_lower(const float* lower, const float* b, std::int64_t width, int rows, std::int64_t columns, float* to,
                 bool accumulate) {
  for_strips(rows, [&](int row, int count) {
    tile_product({.a = lower + row * kStateBlock,
                  .a_stride = kStateBlock,
                  .b = b,
                  .b_stride = width,
                  .out = to + row * width,
                  .out_stride = width,
                  .rows = count,
                  .columns = static_cast<int>(columns),
                  .depth = row + count,
                  .accumulate = accumulate});
  });
}

void times_lower_transposed(const float* lower, const float* b, std::int64_t width, int rows, std::int64_t columns,
                            float* to, bool accumulate) {
  for_strips(rows, [&](int row, int count) {
    tile_product_transposed({.a = lower + row * kStateBlock + row,
                             .a_stride = kStateBlock,
                             .b = b + row * width,
                             .b_stride = width,
                             .out = to + row * width,
                             .out_stride = width,
                             .rows = count,
                             .columns = static_cast<int>(columns),
                             .depth = rows - row,
                             .accumulate = accumulate});
  });
}

void clear_diagonal(float* lower, int rows) {
  for (int i = 0; i < rows; ++i) lower[i * kStateBlock + i] = 0;
}

StateBlock::StateBlock(const StateLane& lane, FloatRooms& rooms)
    : lane_(lane), d_(lane.d), width_((lane.d + kVector - 1) / kVector * kVector) {
  const std::int64_t of_tokens = kStateBlock * width_, of_pairs = kStateBlock * kStateBlock;
  queries_ = rooms.take(lane.heads * of_tokens);
  keys_ = rooms.take(of_tokens);
  keys_by_channel_ = rooms.take(d_ * kStateBlock);
  written_ = rooms.take(of_tokens);
  weights_ = rooms.take(lane.heads * of_pairs);
  mixed_ = rooms.take(of_tokens);
  if (lane.fades()) {
    fading_ = rooms.take(of_tokens);
    first_decays_ = rooms.take(width_);
  }
  if (lane.is_delta()) {
    lookups_ = rooms.take(of_tokens);
    missing_ = rooms.take(of_tokens);
    below_ = rooms.take(of_pairs);
  }
}

// exp(c) of the block's tokens, of which there are as many as keep c in its range.
void StateBlock::find_fading(int end) {
  const std::int64_t channels = lane_.has_one_decay() ? 1 : d_;
  lane_.decays(first_, first_decays_);
  std::fill_n(fading_, d_, 0.0F);  // c, at first
  int token = first_ + 1;
  for (; token < end; ++token) {
    const float* const before = fading_ + (token - 1 - first_) * width_;
    float* const c = fading_ + (token - first_) * width_;
    float most = 0;
    for (std::int64_t i = 0; i < channels; ++i) {
      c[i] = before[i] + lane_.log_decay(token, i);
      most = std::max(most, std::abs(c[i]));
    }
    if (most > kMostFading) break;
  }
  count_ = token - first_;
  for (int i = 0; i < count_; ++i) {
    float* const c = fading_ + i * width_;
    if (channels == 1)
      std::fill_n(c, d_, std::exp(c[0]));
    else
      find_decays(c, d_, c);
  }
}

void StateBlock::begin(int first, int end) {
  first_ = first;
  end = std::min(end, first + kStateBlock);
  count_ = end - first;
  if (lane_.fades()) find_fading(end);
  for (int t = 0; t < count_; ++t) {
    const float* const key = lane_.key(first + t);
    float* const to = keys_ + t * width_;
    std::copy_n(key, d_, to);
    if (lane_.fades()) {
      const float* const fading = fading_ + t * width_;
      for (std::int64_t i = 0; i < d_; ++i) to[i] /= fading[i];
    }
    if (lane_.is_delta()) {
      float* const lookup = lookups_ + t * width_;
      std::transform(key, key + d_, lookup, std::negate<>());
      if (lane_.fades()) multiply(fading_ + t * width_, static_cast<int>(d_), lookup);
    }
  }
  transpose_tile(keys_, width_, count_, static_cast<int>(d_), keys_by_channel_, kStateBlock);
}

void StateBlock::fade(float* state) const {
  if (!lane_.fades()) return;
  for (std::int64_t i = 0; i < d_; ++i) scale_row(state + i * width_, static_cast<int>(d_), first_decays_[i]);
}

void StateBlock::write(const float* state) {
  float* const values = lane_.is_delta() ? missing_ : written_;
  for (int t = 0; t < count_; ++t) std::copy_n(lane_.value(first_ + t), d_, values + t * width_);
  if (!lane_.is_delta()) return;
  if (state != nullptr)
    tile_product({.a = lookups_,
                  .a_stride = width_,
                  .b = state,
                  .b_stride = width_,
                  .out = missing_,
                  .out_stride = width_,
                  .rows = count_,
                  .columns = static_cast<int>(d_),
                  .depth = static_cast<int>(d_),
                  .accumulate = true});
  lower_product(lookups_, width_, keys_by_channel_, count_, d_, below_);
  clear_diagonal(below_, count_);
  solve();
}

// missing += A written, written = b missing, from the first token to the last.
void StateBlock::solve() {
  const auto add = [&](int row, int rows, int from, int to) {
    if (from == to) return;
    tile_product({.a = below_ + row * kStateBlock + from,
                  .a_stride = kStateBlock,
                  .b = written_ + from * width_,
                  .b_stride = width_,
                  .out = missing_ + row * width_,
                  .out_stride = width_,
                  .rows = rows,
                  .columns = static_cast<int>(d_),
                  .depth = to - from,
                  .accumulate = true});
  };
  for (int row = 0; row < count_; row += kSolved) {
    const int end = std::min(row + kSolved, count_);
    add(row, end - row, 0, row);
    for (int t = row; t < end; ++t) {
      add(t, 1, row, t);
      scale_copy(missing_ + t * width_, static_cast<int>(d_), lane_.rate(first_ + t), written_ + t * width_);
    }
  }
}

void StateBlock::read(const float* state, const TensorView<float, 3>* out) {
  for (int head = 0; head < lane_.heads; ++head) {
    float* const queries = of_head(queries_, head);
    float* const weights = pairs_of_head(weights_, head);
    for (int t = 0; t < count_; ++t) {
      const float* const query = &lane_.rows.q(first_ + t, lane_.first_head + head, 0);
      scale_copy(query, static_cast<int>(d_), lane_.rows.scale, queries + t * width_);
      if (lane_.fades()) multiply(fading_ + t * width_, static_cast<int>(d_), queries + t * width_);
    }
    lower_product(queries, width_, keys_by_channel_, count_, d_, weights);
    if (out == nullptr) continue;
    if (state != nullptr)
      tile_product({.a = queries,
                    .a_stride = width_,
                    .b = state,
                    .b_stride = width_,
                    .out = mixed_,
                    .out_stride = width_,
                    .rows = count_,
                    .columns = static_cast<int>(d_),
                    .depth = static_cast<int>(d_),
                    .accumulate = false});
    times_lower(weights, written_, width_, count_, d_, mixed_, state != nullptr);
    for (int t = 0; t < count_; ++t)
      std::copy_n(mixed_ + t * width_, d_, &(*out)(first_ + t, lane_.first_head + head, 0));
  }
}

void StateBlock::move_on(float* state, bool is_empty) const {
  tile_product_transposed({.a = keys_,
                           .a_stride = width_,
                           .b = written_,
                           .b_stride = width_,
                           .out = state,
                           .out_stride = width_,
                           .rows = static_cast<int>(d_),
                           .columns = static_cast<int>(d_),
                           .depth = count_,
                           .accumulate = !is_empty});
  if (!lane_.fades()) return;
  for (std::int64_t i = 0; i < d_; ++i) scale_row(state + i * width_, static_cast<int>(d_), last_fading()[i]);
}

}  // namespace attnlab
