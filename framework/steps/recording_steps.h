// Direct steps with a tape: each leaves a closure that turns the gradients of what it wrote into those of what it read.
// `backward` runs them last to first. Buffers of the pass live until then, and their gradients beside them
// (GradientSpace); a step that changes a buffer in place keeps what its derivative needs, and puts back what the buffer
// held before, so that each closure finds the buffers as they were when its step was executed.
// What has no derivative is refused when it is recorded: a gradient is never silently zero.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <vector>

#include <attnlab/gradients.h>

#include "core/attend_backward.h"
#include "steps/direct_steps.h"
#include "steps/gradient_space.h"
#include "steps/trained_parameters.h"

namespace attnlab {

class ATTNLAB_API RecordingSteps final : public ModelSteps {
 public:
  /// Buffers come from `scratch`, which has no other user; both outlive this.
  RecordingSteps(Scratch& scratch, TrainedParameters& parameters);
  ~RecordingSteps() override;

  /// Of a buffer that the pass has written (its result): to be set before `backward`.
  template <int Rank>
  [[nodiscard]] TensorView<float, Rank> gradient(TensorView<const float, Rank> buffer) {
    return of_.of(buffer);
  }
  /// From the next pass on, what attention and MLP add to the residual stream is dropped with this chance, element by
  /// element, and the rest made larger by 1 / (1 - share) (Srivastava et al. 2014). `key` names the draws.
  void set_dropout(float share, std::uint64_t key) noexcept {
    dropout_ = share;
    dropout_key_ = key;
  }
  /// Adds the gradients of the parameters, and forgets the pass. Once for a pass.
  void backward();
  /// Of the buffers of the last pass that was undone, of their gradients, and of what was copied to undo it.
  [[nodiscard]] std::size_t pass_bytes() const noexcept { return pass_bytes_; }
  /// Forgets a pass that is not undone.
  void forget();

  [[nodiscard]] bool records() const noexcept override { return true; }

  using Steps::append;
  using Steps::attend;
  using Steps::project;
  void project(TensorView<const float, 2> input, std::span<const Projection> projections) override;
  void norm(TensorView<const float, 3> from, std::span<const float> weight, float eps,
            TensorView<float, 3> to) override;
  void rotate(RotateSide side, TensorView<float, 3> rows) override;
  void append(TensorView<float, 3> keys, TensorView<const float, 3> values, std::span<const float> marks) override;
  void attend(const AttendStep& step, TensorView<float, 3> out, TensorView<float, 2> log_sum) override;
  void gate(TensorView<const float, 2> gates, TensorView<float, 3> rows) override;
  void silu_multiply(TensorView<const float, 2> gates, TensorView<float, 2> rows) override;
  void silu(TensorView<float, 3> rows) override;
  void convolve(std::span<const float> weight, TensorView<float, 2> state, TensorView<float, 3> rows) override;
  void blend(TensorView<const float, 3> from, std::span<const float> factors, TensorView<float, 3> to) override;
  void merge(std::span<const AttendedPart> parts, TensorView<float, 3> out, TensorView<float, 2> log_sum) override;
  void own_work(const OwnWork&) override {}
  void constant(std::span<const float> numbers) override { constants_[numbers.data()].resize(numbers.size()); }
  void embed(std::span<const std::int32_t> tokens, const Embedding& embedding, TensorView<float, 2> out) override;
  void add_positions(const PositionScheme& scheme, std::span<const Position> positions,
                     TensorView<float, 2> embeddings) override;
  void add_norm(TensorView<float, 2> x, const float* delta, const Norm& norm, TensorView<float, 2> out) override;
  void gated_project(TensorView<const float, 2> input, const GatedProjection& halves,
                     TensorView<float, 2> out) override;
  void activate(Activation activation, TensorView<float, 2> rows) override;

 protected:
  void record(const Touched& touched, std::function<void(Gradients&)> backward) override;

 private:
  // Gradients as closures of variants see them.
  class Found final : public Gradients {
   public:
    explicit Found(RecordingSteps& steps) : steps_(steps) {}
    [[nodiscard]] std::span<float> of_parameter(std::span<const float> values) override;

   protected:
    [[nodiscard]] float* of_buffer(const float* first) override { return steps_.space_.gradient(first); }

   private:
    RecordingSteps& steps_;
  };
  // What was appended to a cache in this pass. Its gradients wait for the place of the append: steps between may have
  // changed the buffers that the rows were appended from.
  struct Appended {
    TensorView<const float, 3> keys;  // as they are stored
    TensorView<const float, 3> values;
    RowGradients gradients;  // of these, until the rows' append is undone
  };

  void enter(const LayerContext* layer, const KvShape& shape) override;
  [[nodiscard]] const LayerContext& layer() const;
  // A step reads `view`, and will again when it is undone: an Error where no recorded step has written it.
  template <class T, int Rank>
  void read(const TensorView<T, Rank>& view, const char* step) {
    const std::span<const float> bounds = bounds_of(view);
    check_written(bounds, step);
    space_.read(bounds.data(), bounds.data() + bounds.size());
  }
  // It changes `view` in place, and puts back what it was.
  template <class T, int Rank>
  void change(const TensorView<T, Rank>& view, const char* step) {
    check_written(bounds_of(view), step);
  }
  void check_written(std::span<const float> bounds, const char* step) const;
  // A step is about to write the rows anew. Where they held something, that comes back in the backward pass, and their
  // gradient then begins with zeros.
  void write(TensorView<float, 3> rows);
  void write(TensorView<float, 2> rows) { write(one_head(rows)); }
  // A copy of what rows hold, until the pass is forgotten; dense.
  [[nodiscard]] TensorView<const float, 3> saved(TensorView<const float, 3> rows);
  [[nodiscard]] TensorView<const float, 2> saved(TensorView<const float, 2> rows);
  template <class T>
  [[nodiscard]] static TensorView<T, 3> one_head(TensorView<T, 2> rows) {
    return {rows.data(), {rows.extent(0), 1, rows.extent(1)}, {rows.stride(0), rows.extent(1), rows.stride(1)}};
  }
  // What fails in it is a failure of the component that is called now.
  void keep(std::function<void()> undo);
  // Of a parameter of the component, or of what it says are constants; an Error where these values are neither.
  [[nodiscard]] std::span<float> of_values(std::span<const float> values);
  // Multiplies by 0 or 1 / (1 - share), drawn for this buffer of the pass.
  static void drop(TensorView<float, 2> rows, float share, std::uint64_t key);
  void undo_product(TensorView<const float, 2> input, const Matrix& weight, std::span<const float> bias,
                    TensorView<const float, 2> out);

  Scratch& scratch_;
  TrainedParameters& parameters_;
  GradientSpace space_;
  Found of_;
  Scratch saved_;
  DirectSteps direct_;
  std::optional<Scratch::Scope> pass_, saved_of_pass_;
  std::vector<std::function<void()>> tape_;
  std::map<const LayerCache*, Appended> appended_;
  std::map<const float*, std::vector<float>> constants_;  // where they begin, and what would be their gradients
  const LayerContext* layer_ = nullptr;
  KvShape shape_;
  float dropout_ = 0;
  std::uint64_t dropout_key_ = 0;
  std::uint64_t dropped_ = 0;  // buffers of this pass
  std::size_t pass_bytes_ = 0;
};

}  // namespace attnlab
