// The derivative of a block of tokens of one state (state_block.h).
#pragma once

#include "states/state_block.h"

namespace attnlab {

class StateBlockBackward {
 public:
  StateBlockBackward(const StateLane& lane, const StateGradients& of, FloatRooms& rooms);

  /// block: after `write` and `read`. faded: S0, or null where it is zeros. after: S after the block, or null where
  /// of_state is zeros and need not be set. of_state [d, width]: the gradient of S after the block becomes that of the
  /// state before it, where that is not zeros.
  void undo(const StateBlock& block, const float* faded, const float* after, float* of_state);

 private:
  void undo_read(const float* faded);
  void undo_write(const float* faded);
  void add_to_rows();
  void undo_decays(const float* faded, const float* after, const float* of_after);
  void add_product(const float* a, const float* b, float* to, bool accumulate) const;
  void add_transposed_product(const float* a, const float* b, float* to, bool accumulate) const;

  const StateLane& lane_;
  const StateGradients& of_;
  std::int64_t d_, width_;
  const StateBlock* block_ = nullptr;
  bool moves_on_ = false;        // of_faded_ has been set
  float* of_out_;                // [heads, tokens, width]
  float* of_queries_;            // [heads, tokens, width], of q^
  float* of_keys_;               // [tokens, width], of k~
  float* of_lookups_ = nullptr;  // [tokens, width], of k^
  float* of_written_;            // [tokens, width], of W
  float* of_missing_ = nullptr;  // [tokens, width], of W before the rates
  float* of_weights_;            // [tokens, tokens], of P of a head, or A
  float* written_by_channel_;    // [d, tokens]
  float* of_faded_;              // [d, width], of S0
  float* by_value_;              // [d, width], a state or its gradient transposed
  float* of_fading_ = nullptr;   // [tokens, width], of c
};

}  // namespace attnlab
