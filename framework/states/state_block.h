// Tokens of one state as a block: products of matrices in place of one step a token. Yang et al. 2023 (gla), section 4;
// Yang et al. 2024 (arXiv:2406.06484), section 3, for the triangular system of the delta rule.
//
// With c_t the sum of the log decays of the block's tokens up to t without that of the first, which fades the state S
// before the block to S0, and q^ = scale q exp(c), k^ = -k exp(c), k~ = k exp(-c):
//   W = V, or of the delta rule b (V + k^ S0 + A W) with A = k^ k~' below the diagonal
//   out = q^ S0 + P W with P = q^ k~' up to the diagonal
//   S after the block = exp(c of the last) (S0 + k~' W)
// A block ends where exp(c) would leave the range in which both k^ and k~ are exact.
#pragma once

#include <cstdint>
#include <vector>

#include "states/state_lane.h"

namespace attnlab {

/// Memory of one thread that is kept from lane to lane.
class FloatRooms {
 public:
  /// At the beginning of a cache line. Not cleared.
  [[nodiscard]] float* take(std::int64_t count);
  /// All rooms are free again.
  void reuse() { next_ = 0; }

 private:
  std::vector<std::vector<float>> memory_;
  std::size_t next_ = 0;
};

/// Rows are `width()` apart, whole vectors of 16; pairs of tokens kStateBlock apart.
class StateBlock {
 public:
  StateBlock(const StateLane& lane, FloatRooms& rooms);

  /// Reads tokens from `first` on, at most to `end`.
  void begin(int first, int end);
  [[nodiscard]] int count() const { return count_; }
  [[nodiscard]] std::int64_t width() const { return width_; }

  /// state [d, width]: S becomes S0.
  void fade(float* state) const;
  /// W. state: S0, or null where it is nothing but zeros, as in all of these.
  void write(const float* state);
  /// P, and out of the lane's tokens and heads where it is given.
  void read(const float* state, const TensorView<float, 3>* out);
  /// state: S0 becomes S after the block. `is_empty`: S0 is zeros, and need not be set.
  void move_on(float* state, bool is_empty) const;

 private:
  friend class StateBlockBackward;
  [[nodiscard]] float* of_head(float* rows, int head) const { return rows + head * kStateBlock * width_; }
  [[nodiscard]] float* pairs_of_head(float* pairs, int head) const { return pairs + head * kStateBlock * kStateBlock; }
  [[nodiscard]] const float* last_fading() const { return fading_ + (count_ - 1) * width_; }
  void find_fading(int end);
  void solve();

  const StateLane& lane_;
  std::int64_t d_, width_;
  int first_ = 0, count_ = 0;
  float* fading_ = nullptr;           // [tokens, width] exp(c); where the lane fades, as the next
  float* first_decays_ = nullptr;     // [width]
  float* queries_ = nullptr;          // [heads, tokens, width] q^
  float* keys_ = nullptr;             // [tokens, width] k~
  float* keys_by_channel_ = nullptr;  // [d, tokens]
  float* lookups_ = nullptr;          // [tokens, width] k^; of the delta rule, as the next two
  float* missing_ = nullptr;          // [tokens, width] W before the rates
  float* below_ = nullptr;            // [tokens, tokens] A
  float* written_ = nullptr;          // [tokens, width] W
  float* weights_ = nullptr;          // [heads, tokens, tokens] P
  float* mixed_ = nullptr;            // [tokens, width]
};

/// to [rows, rows] = a b up to the diagonal, zero above it within the blocks that `times_lower` and its transpose read;
/// a [rows, depth] `width` apart, b [depth, rows] kStateBlock apart, to kStateBlock apart.
void lower_product(const float* a, std::int64_t width, const float* b, int rows, std::int64_t depth, float* to);
/// to [rows, columns] (+)= lower b, b and to `width` apart.
void times_lower(const float* lower, const float* b, std::int64_t width, int rows, std::int64_t columns, float* to,
                 bool accumulate);
/// to [rows, columns] (+)= lower' b
void times_lower_transposed(const float* lower, const float* b, std::int64_t width, int rows, std::int64_t columns,
                            float* to, bool accumulate);
/// Zeros the diagonal.
void clear_diagonal(float* lower, int rows);

}  // namespace attnlab
