// The steps of a whole model: those of a layer, and those between the layers. Made once for a model, given every
// layer in turn. Not here: what a step does (DirectSteps), and in which order (the variants, and the decoder).
#pragma once

#include <cstddef>
#include <span>

#include <attnlab/attention_variant.h>
#include <attnlab/steps.h>

#include "base/activation.h"
#include "base/element.h"
#include "base/norm.h"
#include "ops/matrix.h"

namespace attnlab {

/// The first half of a gated MLP (Shazeer 2020); biases [out_dim] or empty.
struct GatedProjection {
  const Matrix& gate;
  const Matrix& up;
  std::span<const float> gate_bias = {};
  std::span<const float> up_bias = {};
  Activation activation = Activation::silu;
};

/// One layer's part in a forward pass.
struct LayerPass {
  const ChunkView& chunk;
  LayerCache& cache;
  const PositionScheme& position;
  TensorView<float, 2> state = {};  // [sequences, state_floats]
  bool ends_rows = true;            // no later layer reads the rows of this cache
  int layer = 0;                    // its number in the model
  // [sequences]: another number where a sequence does not go on from the rows that were appended to it under the number
  // before (it was cleared, restored, forked into); empty: sequences are at most cleared.
  std::span<const std::uint64_t> histories = {};
};

/// The rows that token ids stand for: a table in its own element type, or the outputs of a matrix that is the head too.
struct Embedding {
  const Matrix* tied = nullptr;      // [vocab, width]; null: the table
  const std::byte* table = nullptr;  // [vocab, width]
  ElementType type = ElementType::f32;
  std::int64_t vocab = 0;
};

class ModelSteps;

/// The only way in which a layer is driven: the variant appends and attends; then, after the last layer that reads the
/// rows, the cache policy acts. hidden [tokens, hidden_dim] -> out, same shape. Buffers that the variant took are given
/// back.
ATTNLAB_API void run_layer(ModelSteps& steps, AttentionVariant& attention, const LayerPass& pass,
                           TensorView<const float, 2> hidden, TensorView<float, 2> out);

class ATTNLAB_API ModelSteps : public Steps {
 public:
  ~ModelSteps() override;
  /// Before the first layer of every forward pass.
  void begin_pass() noexcept { forget_shared(); }
  using Steps::set_lone_layer;
  /// What attention multiplies for many queries, f32 unless it is said here: AttendArgs::compute. Steps that record
  /// multiply in f32 all the same.
  virtual void attend_in(Arithmetic arithmetic) noexcept { attends_in_ = arithmetic; }
  [[nodiscard]] Arithmetic attends_in() const noexcept { return attends_in_; }
  /// out [tokens, width] = the rows of these ids.
  virtual void embed(std::span<const std::int32_t> tokens, const Embedding& embedding, TensorView<float, 2> out);
  /// What the scheme adds to embeddings [tokens, width].
  virtual void add_positions(const PositionScheme& scheme, std::span<const Position> positions,
                             TensorView<float, 2> embeddings);
  /// x += delta where there is one, then out = the norm of x; x, delta and out [tokens, width], dense.
  virtual void add_norm(TensorView<float, 2> x, const float* delta, const Norm& norm, TensorView<float, 2> out) = 0;
  /// out [tokens, out_dim] = activation(input gate') * (input up')
  virtual void gated_project(TensorView<const float, 2> input, const GatedProjection& halves,
                             TensorView<float, 2> out) = 0;
  /// rows [tokens, width] = activation(rows): between the products of an MLP that is not gated.
  virtual void activate(Activation activation, TensorView<float, 2> rows) = 0;

 protected:
  using Steps::Steps;
  /// The number of the layer that is driven at present, or was last.
  [[nodiscard]] int layer_number() const noexcept { return layer_number_; }
  /// See LayerPass::histories.
  [[nodiscard]] std::uint64_t history(int sequence) const noexcept {
    return histories_.empty() ? 0 : histories_[static_cast<std::size_t>(sequence)];
  }
  // For steps that do their work through others.
  void enter_in(ModelSteps& inner, const LayerContext* layer, const KvShape& shape) const {
    inner.layer_number_ = layer_number_;
    inner.histories_ = histories_;
    inner.enter(layer, shape);
  }

 private:
  friend void run_layer(ModelSteps& steps, AttentionVariant& attention, const LayerPass& pass,
                        TensorView<const float, 2> hidden, TensorView<float, 2> out);
  // The steps that follow are of this layer, until the next call; null: of none. shape: what its rows hold.
  virtual void enter(const LayerContext* layer, const KvShape& shape) = 0;

  Arithmetic attends_in_ = Arithmetic::f32;
  int layer_number_ = 0;
  std::span<const std::uint64_t> histories_;  // of the pass
};

}  // namespace attnlab
