// The steps that a layer is made of. Everything with weights or with gradients goes through one object, `Steps`, which
// a variant finds in its LayerContext. A step is executed at once; what else happens (operations are counted, the
// result is compared with a slow form, a backward pass is recorded) depends on the class of the object. So a variant
// is written once.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <attnlab/api.h>
#include <attnlab/core.h>
#include <attnlab/gradients.h>
#include <attnlab/module.h>
#include <attnlab/position_scheme.h>
#include <attnlab/scratch.h>
#include <attnlab/tensor_view.h>

namespace attnlab {

struct LayerContext;

/// One product of a call of `project`: out = input * weight' (+ bias). out [tokens, out_dim], dense rows.
struct Projection {
  const Matrix& weight;
  TensorView<float, 2> out;
  std::span<const float> bias = {};  // [out_dim] or empty
};

/// Arguments of one attention step; the chunk, the rotation and the position bias come from the layer.
struct AttendStep {
  TensorView<const float, 3> queries;  // [tokens, heads, key_dim], not rotated
  float scale;
  std::span<const ScoreHook* const> hooks = {};  // the variant's own, applied after the position bias
  const MaskRule& mask;                          // applied last
  std::span<const float> sink_logits = {};       // [heads] or empty: one more logit a head, without a value
  const Weighting* weighting = nullptr;          // null: softmax; else sink logits, log_sum and mass are refused
  const RowWeighting* row_weighting = nullptr;   // the same; one of the two
  const KvSource* source = nullptr;              // null: the layer's cache
  const ChunkView* chunk = nullptr;              // null: the layer's; else a part of it, with these queries
};

/// The result of `attend` over some of the rows.
struct AttendedPart {
  TensorView<const float, 3> out;      // [tokens, heads, value_dim]
  TensorView<const float, 2> log_sum;  // [tokens, heads]
};

/// The cost of work that a variant does itself, as it was executed.
struct OwnWork {
  double multiply_adds = 0;
  double bytes = 0;  // read and written beside weights and cached rows: a state
};

/// A dense buffer as one span, for Touched.
template <class T, int Rank>
[[nodiscard]] std::span<const float> all_of(TensorView<T, Rank> buffer) {
  return {buffer.data(), static_cast<std::size_t>(buffer.elements())};
}

/// The buffers that a variant's own work has read and written; one that it changed in place is in both.
struct Touched {
  std::initializer_list<std::span<const float>> reads;
  std::initializer_list<std::span<const float>> writes;
};

class ATTNLAB_API Steps {
 public:
  virtual ~Steps();
  Steps(const Steps&) = delete;
  Steps& operator=(const Steps&) = delete;

  /// Buffers of the layer's call, not initialised, on a 64-byte boundary. They live at least until the call ends.
  [[nodiscard]] std::span<float> floats(std::int64_t count) { return scratch_.floats(count); }
  [[nodiscard]] TensorView<float, 2> rows(std::int64_t tokens, std::int64_t width) {
    return scratch_.rows(tokens, width);
  }
  [[nodiscard]] TensorView<float, 3> rows(std::int64_t tokens, std::int64_t heads, std::int64_t width) {
    return scratch_.rows(tokens, heads, width);
  }

  /// Buffers that were taken during the life of a Scope may be reused after it. For a variant that processes large
  /// parts one after the other; buffers of the whole call need no Scope.
  class Scope {
   public:
    explicit Scope(Steps& steps) {
      if (!steps.keeps_buffers()) scope_.emplace(steps.scratch_);
    }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    std::optional<Scratch::Scope> scope_;
  };

  /// An object that lives as long as the buffers of the call: a mask or a hook that a variant makes for one call and
  /// passes to `attend`, where a backward pass looks at it again. Its destructor is not called: views and numbers only.
  template <class T, class... Arguments>
  [[nodiscard]] const T& keep(Arguments&&... arguments) {
    static_assert(alignof(T) <= 64);
    return *new (floats(static_cast<std::int64_t>((sizeof(T) + sizeof(float) - 1) / sizeof(float))).data())
        T(std::forward<Arguments>(arguments)...);
  }

  /// Several products of one input [tokens, in_dim] share the parallel region.
  virtual void project(TensorView<const float, 2> input, std::span<const Projection> projections) = 0;
  void project(TensorView<const float, 2> input, const Projection& projection) { project(input, {&projection, 1}); }

  /// RMSNorm of every head; from and to [tokens, heads, width], weight [width]; `to` may be `from`. Zhang & Sennrich
  /// 2019.
  virtual void norm(TensorView<const float, 3> from, std::span<const float> weight, float eps,
                    TensorView<float, 3> to) = 0;

  /// Rotates rows [tokens, heads, width] in place at the chunk's positions, as the scheme does on this side (queries or
  /// keys). Does nothing if the scheme does not rotate. The rotated columns are those that the layer's KvShape names;
  /// all of them where the layer keeps no rows. For rows that are not appended: `append` rotates by itself.
  virtual void rotate(RotateSide side, TensorView<float, 3> rows) = 0;

  /// Appends keys [tokens, kv_heads, key_dim] and values [tokens, kv_heads, value_dim] to the layer's cache. Where the
  /// cache stores rotated keys, they are rotated in place first. marks [tokens, kv_heads, KvShape::marks], dense:
  /// numbers that stay with each row, for hooks and masks to find (ScoreTile::key_marks).
  virtual void append(TensorView<float, 3> keys, TensorView<const float, 3> values, std::span<const float> marks) = 0;
  void append(TensorView<float, 3> keys, TensorView<const float, 3> values) { append(keys, values, {}); }

  /// out [tokens, heads, value_dim]: softmax(scale q k' + hooks, masked) v over all rows of the source, or with the
  /// weights of the weighting; zeros where nothing is seen. log_sum [tokens, heads], where it is given: the logarithm
  /// of the sum of exp(score) over all that the query sees, the sink logit included; -infinity where it sees nothing.
  virtual void attend(const AttendStep& step, TensorView<float, 3> out, TensorView<float, 2> log_sum) = 0;
  void attend(const AttendStep& step, TensorView<float, 3> out) { attend(step, out, {}); }

  /// rows [tokens, heads, width] *= sigmoid(gates); gates [tokens, heads], or [tokens, heads * width] for one an
  /// element.
  virtual void gate(TensorView<const float, 2> gates, TensorView<float, 3> rows) = 0;

  /// rows [tokens, width] *= silu(gates), same shape; silu(x) = x sigmoid(x), also called swish.
  virtual void silu_multiply(TensorView<const float, 2> gates, TensorView<float, 2> rows) = 0;

  /// rows [tokens, heads, width] = silu(rows).
  virtual void silu(TensorView<float, 3> rows) = 0;

  /// Causal convolution of every channel by itself, in place: rows [tokens, heads, width], weight [heads * width, 1,
  /// taps] with the token's own tap last, no bias. state [sequences, (taps - 1) * heads * width] holds the rows of the
  /// tokens before, zeros before the first, and moves on.
  virtual void convolve(std::span<const float> weight, TensorView<float, 2> state, TensorView<float, 3> rows) = 0;

  /// to = factors[0] * from + factors[1] * to; same shape [tokens, heads, width].
  virtual void blend(TensorView<const float, 3> from, std::span<const float> factors, TensorView<float, 3> to) = 0;

  /// One attention over several sets of rows from an attention over each: out = sum of exp(log_sum - total) * part, and
  /// log_sum [tokens, heads], where it is given, the total. Where no part sees anything: zeros, and -infinity. For
  /// shared prefixes, branches and cascades. Not under a position scheme with a RowBias, which has to see all rows at
  /// once: a variant that merges excludes Feature::row_bias.
  virtual void merge(std::span<const AttendedPart> parts, TensorView<float, 3> out, TensorView<float, 2> log_sum) = 0;

  /// Buffers of one forward pass over all layers, by name: written by one layer, read by later ones of the same pass.
  /// `share` is an Error where the name is taken, `shared` where no layer before has it, or in another shape.
  [[nodiscard]] TensorView<float, 3> share(std::string_view name, std::int64_t tokens, std::int64_t heads,
                                           std::int64_t width);
  [[nodiscard]] TensorView<const float, 3> shared(std::string_view name, std::int64_t tokens, std::int64_t heads,
                                                  std::int64_t width);

  /// Reports work that the variant has done itself between other steps (a scan over a state), so that it is counted.
  /// Has no effect on results.
  virtual void own_work(const OwnWork& work) = 0;

  /// Says that numbers which a step is given in place of parameters are constants of a formula: nothing takes their
  /// gradient. Of others that are no parameters a step refuses to be differentiated.
  virtual void constant(std::span<const float> numbers);
  /// Whether a backward pass will follow, so that what `custom` is given is kept.
  [[nodiscard]] virtual bool records() const noexcept { return false; }
  /// The derivative of work that the variant has just done itself, between two steps. Where a backward pass follows,
  /// backward(Gradients&) is called in it: it adds to the gradients of what was read, from those of what was written,
  /// and turns those of what was changed in place. Buffers then hold what they held at the time of this call. Work that
  /// is not told here has no derivative: a later step that reads a buffer which no step has written refuses to be
  /// trained. (Work in place on what a step has written cannot be noticed so; `attnlab check` finds it.)
  template <class Backward>
  void custom(const Touched& touched, Backward&& backward) {
    if (records()) record(touched, std::forward<Backward>(backward));
  }

 protected:
  explicit Steps(Scratch& scratch);
  /// To be called when a forward pass begins: drops the buffers that layers shared in the pass before.
  void forget_shared() noexcept;
  /// For a layer that runs without the layers before it: what they would share is zeros.
  void set_lone_layer() noexcept { is_lone_ = true; }
  /// Whether buffers are needed after the layer's call, for a backward pass.
  [[nodiscard]] virtual bool keeps_buffers() const noexcept { return records(); }
  /// See custom.
  virtual void record(const Touched& touched, std::function<void(Gradients&)> backward);

 private:
  struct Shared;
  [[nodiscard]] Shared& shared_entry(std::string_view name);

  Scratch& scratch_;
  std::vector<std::unique_ptr<Shared>> shared_;
  bool is_lone_ = false;
};

}  // namespace attnlab
