// Nothing in the steps stands in the way of a backward pass: a layer of gqa that runs through recording steps can be
// undone, over several calls, and its gradients are those of finite differences.
#include "reference/recording_steps.h"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <string>

#include "reference/plugins.h"

namespace attnlab {
namespace {

using namespace reference;

constexpr std::uint64_t kSeed = 3;
constexpr int kHidden = 48;
const CreateContext kContext{
    .layer = 0, .layers = 1, .hidden_dim = kHidden, .heads = 4, .kv_heads = 2, .head_dim = 16, .max_positions = 64};
using Weights = std::map<std::string, std::vector<float>>;

Weights random_weights(std::uint64_t seed) {
  Weights weights;
  for (const ParameterSpec& spec : plugins().attention("gqa", {}, kContext)->parameters())
    weights[spec.name] = Stream(seed++).normals(spec.shape[0] * spec.shape[1], 1.5 / std::sqrt(spec.shape[1]));
  return weights;
}

// A prompt of two sequences, then a piece of one and a step of the other.
const std::vector<Chunk>& calls() {
  static const std::vector<Chunk> all{Chunk().add(0, 7).add(0, 4), Chunk().add(7, 3).add(4, 1, Phase::decode)};
  return all;
}

class GqaLayer {
 public:
  explicit GqaLayer(const Weights& weights)
      : attention_(plugins().attention("gqa", {}, kContext)),
        position_(plugins().position("rope", {}, kContext)),
        cache_(plugins()
                   .cache("full", {}, kContext)
                   ->create(cache_context(attention_->kv_shape(), kContext.heads, 2, KeyForm::rotated))) {
    for (const ParameterSpec& spec : attention_->parameters()) {
      Matrix& matrix = matrices_.emplace_back(spec.shape[0], spec.shape[1], ElementType::f32);
      matrix.pack(0, std::span<const float>(weights.at(spec.name)));
      by_name_[spec.name] = &matrix;
      parameters_.add(spec.name, matrix);
    }
    attention_->bind(parameters_);
    Stream stream(kSeed);
    for (const Chunk& chunk : calls()) {
      const auto numbers = static_cast<std::int64_t>(chunk.positions.size()) * kHidden;
      hidden_.push_back(stream.normals(numbers));
      factors_.push_back(stream.normals(numbers));
      out_.emplace_back(static_cast<std::size_t>(numbers));
    }
  }

  // The sum of all outputs times factors of their own.
  double loss(ModelSteps& steps) {
    double sum = 0;
    for (std::size_t call = 0; call < calls().size(); ++call) {
      const ChunkView chunk = calls()[call].view();
      run_layer(steps, *attention_, {.chunk = chunk, .cache = *cache_, .position = *position_},
                matrix_view(std::as_const(hidden_[call]), kHidden), matrix_view(out_[call], kHidden));
      for (std::size_t i = 0; i < out_[call].size(); ++i) sum += static_cast<double>(factors_[call][i]) * out_[call][i];
    }
    return sum;
  }
  void undo(RecordingSteps& steps) {
    for (std::size_t call = 0; call < calls().size(); ++call) {
      std::vector<double>& of_out = steps.gradient(out_[call].data(), static_cast<std::int64_t>(out_[call].size()));
      for (std::size_t i = 0; i < of_out.size(); ++i) of_out[i] = factors_[call][i];
    }
    steps.backward();
  }
  [[nodiscard]] const Matrix& matrix(const std::string& name) const { return *by_name_.at(name); }

 private:
  std::unique_ptr<AttentionVariant> attention_;
  std::unique_ptr<PositionScheme> position_;
  std::unique_ptr<LayerCache> cache_;
  std::deque<Matrix> matrices_;
  std::map<std::string, const Matrix*> by_name_;
  ParameterSet parameters_;
  std::vector<std::vector<float>> hidden_, factors_, out_;  // [calls]
};

double loss(const Weights& weights) {
  Scratch scratch;
  DirectSteps steps(scratch);
  return GqaLayer(weights).loss(steps);
}

// Along a direction of the same size as the weights, by central differences of the fourth order: what they leave out is
// h^4 of the fifth derivative, some 1e-6 at h = 0.04. What the loss itself is rounded by, about 1e-5 for a thousand
// outputs of floats, comes to 1e-5 / h of a derivative whose size is about that of the loss, some 30: 1e-5.
TEST(RecordingSteps, GiveTheGradientsOfFiniteDifferences) {
  constexpr double kStep = 0.04;
  constexpr double kTolerance = 1e-4;
  const Weights weights = random_weights(kSeed);
  GqaLayer layer(weights);
  Scratch scratch;
  RecordingSteps steps(scratch, {.head_dim = 16});
  EXPECT_EQ(layer.loss(steps), loss(weights)) << "recording changed a result";
  layer.undo(steps);
  for (const auto& [name, values] : weights) {
    const std::vector<double>& gradient = steps.gradient(layer.matrix(name));
    double off = 0, size = 0;
    for (std::uint64_t direction = 0; direction < 6; ++direction) {
      const std::vector<float> along =
          Stream(100 + direction)
              .normals(static_cast<std::int64_t>(values.size()), 1 / std::sqrt(static_cast<double>(kHidden)));
      const auto at = [&](double h) {
        Weights moved = weights;
        for (std::size_t i = 0; i < values.size(); ++i) moved[name][i] += static_cast<float>(h * along[i]);
        return loss(moved);
      };
      const double right = (8 * (at(kStep) - at(-kStep)) - (at(2 * kStep) - at(-2 * kStep))) / (12 * kStep);
      double found = 0;
      for (std::size_t i = 0; i < values.size(); ++i) found += gradient[i] * along[i];
      off += (found - right) * (found - right);
      size += right * right;
    }
    EXPECT_LT(std::sqrt(off / size), kTolerance) << name << ", seed " << kSeed;
    EXPECT_GT(size, 0.1) << name;
  }
}

// Buffers of a call live until the tape is undone: what runs in between takes others.
TEST(RecordingSteps, KeepBuffersUntilTheyAreUndone) {
  const Weights weights = random_weights(kSeed);
  const auto gradients = [&](bool disturbed) {
    GqaLayer layer(weights);
    GqaLayer other(random_weights(kSeed + 50));
    Scratch scratch;
    RecordingSteps steps(scratch, {.head_dim = 16});
    (void)layer.loss(steps);
    if (disturbed) {
      RecordingSteps others(scratch, {.head_dim = 16});
      (void)other.loss(others);
    }
    layer.undo(steps);
    std::vector<std::vector<double>> all;
    for (const auto& [name, values] : weights) all.push_back(steps.gradient(layer.matrix(name)));
    return all;
  };
  EXPECT_EQ(gradients(true), gradients(false));
}

TEST(RecordingSteps, RefuseWhatTheyCannotUndo) {
  Scratch scratch;
  RecordingSteps steps(scratch, {.head_dim = 16});
  const auto attention = plugins().attention("gqa", {{"qk_norm", true}}, kContext);
  const auto position = plugins().position("rope", {}, kContext);
  const auto cache = plugins()
                         .cache("full", {}, kContext)
                         ->create(cache_context(attention->kv_shape(), kContext.heads, 1, KeyForm::rotated));
  ParameterSet set;
  std::deque<Matrix> matrices;
  const std::vector<float> ones(16, 1);
  for (const ParameterSpec& spec : attention->parameters())
    if (spec.form == ParameterForm::values)
      set.add(spec.name, ones);
    else
      set.add(spec.name, matrices.emplace_back(spec.shape[0], spec.shape[1], ElementType::f32));
  attention->bind(set);
  const Chunk chunk = Chunk().add(0, 2);
  const ChunkView view = chunk.view();
  std::vector<float> hidden(2 * kHidden), out(2 * kHidden);
  EXPECT_THROW(run_layer(steps, *attention, {.chunk = view, .cache = *cache, .position = *position},
                         matrix_view(hidden, kHidden), matrix_view(out, kHidden)),
               Error);
}

}  // namespace
}  // namespace attnlab
