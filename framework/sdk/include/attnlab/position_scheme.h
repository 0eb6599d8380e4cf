// A positional scheme acts in up to three places: on token embeddings, on queries and keys (rotation), on scores (a
// bias of each score alone, or of a query's whole row). Each place is an object or absent, so no separate flag can
// contradict it; "none" is the base class.
#pragma once

#include <span>

#include <attnlab/chunk.h>
#include <attnlab/gradients.h>
#include <attnlab/module.h>
#include <attnlab/tensor_view.h>

namespace attnlab {

class RowBias;
class ScoreHook;

/// xPos and its relatives scale queries and keys inversely.
enum class RotateSide : std::uint8_t { query, key };

struct RotateArgs {
  std::span<const Position> positions;  // [n]
  Position length = 0;                  // tokens of the sequence after the call; for length-dependent scalings
  RotateSide side = RotateSide::query;
};

/// Channels that a rotation turns in pairs.
struct TurnedPairs {
  enum class Order : std::uint8_t { halves, neighbours };
  int width = 0;                // channels from the front, even; 0: not known
  Order order = Order::halves;  // pair j is channels j and j + width / 2, or 2j and 2j + 1
};

class ATTNLAB_API Rotation {
 public:
  virtual ~Rotation();
  /// Rotates in place; rows [n, heads, width], width dense. Row i of every head is at positions[i]. Any thread.
  virtual void rotate(const RotateArgs& args, TensorView<float, 3> rows) const noexcept = 0;
  /// The transpose of the rotation, in place: gradients of rotated rows become those of the rows before. By default by
  /// the matrix of each position, which is right for every rotation that is linear in the row, and slow: a scheme that
  /// only turns pairs does the same at the negated angle.
  virtual void rotate_back(const RotateArgs& args, TensorView<float, 3> gradients) const;
  /// Of a rotation R that turns pairs by angles, and stretches them by factors, of which those of p + r are those of p
  /// and of r put together: R(p + r) = R(p) R(0)^-1 R(r), for one side and one length. All other channels stay as they
  /// are. Then keys that are rotated when they are read are turned by few angles, at a small part of the time; the
  /// conformance kit holds a scheme to it. By default not known.
  virtual TurnedPairs pairs() const noexcept;
};

class ATTNLAB_API PositionScheme : public Module {
 public:
  /// embeddings [tokens, hidden_dim], changed in place. Called once a chunk.
  virtual void add_to_embeddings(std::span<const Position> positions, TensorView<float, 2> embeddings) const;
  /// The derivative of `add_to_embeddings` by the scheme's own parameters; gradients [tokens, hidden_dim] of the
  /// embeddings. What is added must not depend on the embeddings.
  virtual void embeddings_backward(std::span<const Position> positions, TensorView<const float, 2> gradients,
                                   Gradients& others) const;
  virtual const Rotation* rotation() const { return nullptr; }
  virtual const ScoreHook* score_bias() const { return nullptr; }
  virtual const RowBias* row_bias() const { return nullptr; }
  /// How many positions the scheme can represent (the size of a table); 0: no limit.
  virtual Position max_positions() const { return 0; }
};

}  // namespace attnlab
