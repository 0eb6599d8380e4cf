// A positional scheme acts in up to three places: on token embeddings, on queries and keys (rotation), on scores
// (bias). Each place is an object or absent, so no separate flag can contradict it; "none" is the base class.
#pragma once

#include <span>

#include <attnlab/chunk.h>
#include <attnlab/module.h>
#include <attnlab/tensor_view.h>

namespace attnlab {

class ScoreHook;

/// xPos and its relatives scale queries and keys inversely.
enum class RotateSide : std::uint8_t { query, key };

struct RotateArgs {
  std::span<const Position> positions;  // [n]
  Position length = 0;                  // tokens of the sequence after the call; for length-dependent scalings
  RotateSide side = RotateSide::query;
};

class ATTNLAB_API Rotation {
 public:
  virtual ~Rotation();
  /// Rotates in place; rows [n, heads, width], width dense. Row i of every head is at positions[i]. Any thread.
  virtual void rotate(const RotateArgs& args, TensorView<float, 3> rows) const noexcept = 0;
};

class ATTNLAB_API PositionScheme : public Module {
 public:
  /// embeddings [tokens, hidden_dim], changed in place. Called once a chunk.
  virtual void add_to_embeddings(std::span<const Position> positions, TensorView<float, 2> embeddings) const;
  virtual const Rotation* rotation() const { return nullptr; }
  virtual const ScoreHook* score_bias() const { return nullptr; }
  /// How many positions the scheme can represent (the size of a table); 0: no limit.
  virtual Position max_positions() const { return 0; }
};

}  // namespace attnlab
