// A layer of every attention and every position scheme that runs through recording steps can be undone, and its
// gradients are those of finite differences; recording changes no result; what has no derivative is refused.
#include "steps/recording_steps.h"

#include <gtest/gtest.h>

#include <cmath>
#include <deque>
#include <map>
#include <string>

#include <attnlab/ops.h>

#include "reference/plugins.h"
#include "reference/variant_reference.h"

namespace attnlab {
namespace {

using namespace reference;

constexpr std::uint64_t kSeed = 3;
constexpr int kHidden = 48;

struct LayerCase {
  std::string attention, position;
  int heads = 4, kv_heads = 2, head_dim = 16;
  OptionValues options = {};
  friend std::ostream& operator<<(std::ostream& stream, const LayerCase& of) {
    return stream << of.attention << " with " << of.position;
  }
};

std::vector<LayerCase> every_case() {
  std::vector<LayerCase> cases;
  for (const std::string& attention : plugins().ids(Kind::attention)) cases.push_back({attention, "none"});
  for (const std::string& position : plugins().ids(Kind::position))
    if (position != "none" && position != "learned") cases.push_back({"gqa", position});
  return cases;
}

// One layer whose numbers can be changed, over two sequences.
class TrainedLayer {
 public:
  explicit TrainedLayer(const LayerCase& of, std::unique_ptr<AttentionVariant> variant = nullptr)
      : chunk_(Chunk().add(0, 7).add(0, 70)) {
    // A layer that reads those before it is tried in a model (the law of the kit), not alone.
    const CreateContext context{.layer = 0,
                                .layers = 2,
                                .hidden_dim = kHidden,
                                .heads = of.heads,
                                .kv_heads = of.kv_heads,
                                .head_dim = of.head_dim,
                                .max_positions = 128};
    OptionValues options = of.options;
    if (of.attention == "mla") {
      options = Latent{}.options();
      options["form"] = std::string("absorbed");  // what is recorded: the bits are the same
    }
    if (of.attention == "gated_delta") options = {{"conv_size", std::int64_t{3}}};
    if (of.attention == "moba") options = {{"block", std::int64_t{16}}, {"top_k", std::int64_t{2}}};
    if (of.attention == "nsa")
      options = {{"block", std::int64_t{16}}, {"top_k", std::int64_t{4}}, {"window", std::int64_t{12}}};
    attention_ = variant != nullptr ? std::move(variant) : plugins().attention(of.attention, options, context);
    const KvShape shape = attention_->kv_shape();
    CreateContext of_position = context;
    if (shape.kv_heads > 0) of_position.head_dim = shape.rotation_width();
    position_ = plugins().position(of.position, {}, of_position);
    cache_ = plugins().cache("full", {}, context)->create(cache_context(shape, context.heads, 2, KeyForm::rotated));
    state_width_ = attention_->state_floats() + attention_->summary_floats(128);
    bind(*attention_);
    bind(*position_);
    const std::int64_t numbers = std::int64_t{77} * kHidden;
    Stream stream(kSeed);
    hidden_ = stream.normals(numbers);
    factors_ = stream.normals(numbers);
    out_.resize(static_cast<std::size_t>(numbers));
  }

  // The sum of all outputs times factors of their own.
  double loss(ModelSteps& steps) {
    for (const int sequence : {0, 1}) cache_->clear(sequence);
    std::vector<float> state(static_cast<std::size_t>(2 * state_width_));
    steps.begin_pass();
    const ChunkView chunk = chunk_.view();
    const TensorView<float, 2> hidden = matrix_view(hidden_, kHidden);
    steps.custom({.reads = {}, .writes = {all_of(hidden)}}, [this, hidden](Gradients& of) {  // undone last
      const TensorView<float, 2> found = of.of(hidden);
      of_hidden_.assign(found.data(), found.data() + found.elements());
    });
    run_layer(steps, *attention_,
              {.chunk = chunk,
               .cache = *cache_,
               .position = *position_,
               .state = {state.data(), {2, state_width_}},
               .layer = 1},
              hidden, matrix_view(out_, kHidden));
    double sum = 0;
    for (std::size_t i = 0; i < out_.size(); ++i) sum += static_cast<double>(factors_[i]) * out_[i];
    return sum;
  }
  double loss() {
    Scratch scratch;
    DirectSteps steps(scratch);
    return loss(steps);
  }
  // Afterwards the gradients are in parameters() and of_hidden().
  void undo(RecordingSteps& steps) {
    std::ranges::copy(factors_, steps.gradient(TensorView<const float, 2>(matrix_view(out_, kHidden))).data());
    steps.backward();
  }

  TrainedParameters& parameters() { return parameters_; }
  std::vector<float>& hidden() { return hidden_; }
  [[nodiscard]] const std::vector<float>& out() const { return out_; }
  [[nodiscard]] const std::vector<float>& of_hidden() const { return of_hidden_; }
  // The numbers of a parameter; what is made of them follows.
  void set(TrainedParameter& parameter, const std::vector<float>& values) {
    std::ranges::copy(values, parameter.values.begin());
    if (const auto found = matrices_.find(parameter.name); found != matrices_.end())
      found->second.pack(0, std::span<const float>(parameter.values));
    attention_->refresh();
    position_->refresh();
  }

 private:
  void bind(Module& module) {
    ParameterSet& set = sets_.emplace_back();
    for (const ParameterSpec& spec : module.parameters()) {
      std::int64_t count = 1;
      for (const std::int64_t extent : spec.shape) count *= extent;
      const bool is_matrix = spec.form == ParameterForm::matrix;
      const double size = spec.shape.size() > 1 ? 1.5 / std::sqrt(static_cast<double>(spec.shape.back())) : 0.3;
      std::vector<float>& values = values_.emplace_back(Stream(kSeed + values_.size()).normals(count, size));
      if (spec.init == Init::ones || spec.name.starts_with("kerple"))
        for (float& value : values) value = std::abs(value) + 0.7F;
      // Straight and flat from row to row: bends between rows are what finite differences fail at (cope_test).
      if (spec.name == "cope_pos_emb") {
        const auto width = static_cast<std::size_t>(spec.shape[1]);
        for (std::size_t i = values.size(); i-- > width;)
          values[i] = values[i % width] + 0.02F * static_cast<float>(i / width) * values[width + i % width];
      }
      TrainedParameter& parameter = parameters_.add(spec.name, spec.shape, values);
      if (is_matrix) {
        Matrix& matrix = matrices_.try_emplace(spec.name, spec.shape[0], spec.shape[1], ElementType::f32).first->second;
        matrix.pack(0, std::span<const float>(values));
        set.add(spec.name, matrix);
        parameters_.bind(parameter, matrix);
      } else {
        set.add(spec.name, values);
        parameters_.bind(parameter, values.data(), values.size());
      }
    }
    module.bind(set);
  }

  Chunk chunk_;
  std::unique_ptr<AttentionVariant> attention_;
  std::unique_ptr<PositionScheme> position_;
  std::unique_ptr<LayerCache> cache_;
  std::int64_t state_width_ = 0;
  std::deque<ParameterSet> sets_;
  std::deque<std::vector<float>> values_;
  std::map<std::string, Matrix> matrices_;
  TrainedParameters parameters_;
  std::vector<float> hidden_, factors_, out_, of_hidden_;
};

class EveryLayer : public testing::TestWithParam<LayerCase> {};

double dot(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

// Half along the gradient, so that the derivative is large, half at random, so that a gradient of zero is found.
std::vector<float> direction(std::span<const float> gradient, double length, std::uint64_t seed) {
  std::vector<float> along = Stream(seed).normals(static_cast<std::int64_t>(gradient.size()));
  const double random = std::sqrt(dot(along, along)), size = std::sqrt(dot(gradient, gradient));
  for (std::size_t i = 0; i < along.size(); ++i)
    along[i] = static_cast<float>(length * (along[i] / random + (size == 0 ? 0 : gradient[i] / size)));
  return along;
}

// By central differences of the fourth order. The step is small against what bends the loss, which changes by some
// units in it; its rounding, of a sum of 3,696 floats, is 1e-4 or so.
void expect_gradients_of_differences(TrainedLayer& layer) {
  constexpr double kStep = 0.001, kTolerance = 2e-3;
  Scratch scratch;
  RecordingSteps steps(scratch, layer.parameters());
  const double direct = layer.loss();
  const std::vector<float> out = layer.out();
  EXPECT_EQ(layer.loss(steps), direct) << "recording changed a result";
  EXPECT_EQ(layer.out(), out);
  layer.undo(steps);

  // set(values) puts numbers in place of `before`.
  const auto differences = [&](const std::vector<float>& before, const std::vector<float>& along, const auto& set) {
    const auto at = [&](double h) {
      std::vector<float> moved = before;
      for (std::size_t i = 0; i < moved.size(); ++i) moved[i] += static_cast<float>(h * along[i]);
      set(moved);
      return layer.loss();
    };
    const double right = (8 * (at(kStep) - at(-kStep)) - (at(2 * kStep) - at(-2 * kStep))) / (12 * kStep);
    set(before);
    return right;
  };
  double largest = 0;
  std::map<std::string, std::pair<double, double>> found;
  for (TrainedParameter& parameter : layer.parameters().all()) {
    EXPECT_TRUE(parameter.is_reached) << parameter.name;
    const std::vector<float> before(parameter.values.begin(), parameter.values.end());
    const std::vector<float> along =
        direction(parameter.gradient, std::sqrt(dot(before, before)), kSeed + found.size());
    found[parameter.name] = {dot(parameter.gradient, along),
                             differences(before, along, [&](const auto& values) { layer.set(parameter, values); })};
  }
  const std::vector<float> before = layer.hidden();
  const std::vector<float> along = direction(layer.of_hidden(), std::sqrt(dot(before, before)), kSeed);
  found["hidden states"] = {dot(layer.of_hidden(), along),
                            differences(before, along, [&](const auto& values) { layer.hidden() = values; })};
  for (const auto& [name, pair] : found) largest = std::max(largest, std::abs(pair.second));
  for (const auto& [name, pair] : found)
    EXPECT_NEAR(pair.first, pair.second, kTolerance * std::abs(pair.second) + 1e-4 * largest) << name;
}

TEST_P(EveryLayer, HasTheGradientsOfFiniteDifferences) {
  TrainedLayer layer(GetParam());
  expect_gradients_of_differences(layer);
}

INSTANTIATE_TEST_SUITE_P(, EveryLayer, testing::ValuesIn(every_case()),
                         [](const auto& of) { return of.param.attention + "_" + of.param.position; });

TEST(RecordingSteps, UndoEveryKindOfNormOfQueriesAndKeys) {
  for (const char* kind : {"heads", "whole", "own"}) {
    SCOPED_TRACE(kind);
    TrainedLayer layer(
        {.attention = "gqa", .position = "rope", .options = {{"qk_norm", true}, {"qk_norm_kind", std::string(kind)}}});
    expect_gradients_of_differences(layer);
  }
}

TEST(RecordingSteps, UndoABiasOfWholeRowsBesideWhatElseChangesScoresAndWeights) {
  for (const LayerCase& of : std::vector<LayerCase>{
           {.attention = "gqa", .position = "cope", .options = {{"sink_logit", true}, {"window", std::int64_t{40}}}},
           {.attention = "gqa", .position = "cope", .options = {{"softcap", 4.0}, {"qk_norm", true}}},
           {.attention = "talking_heads", .position = "cope"},
           {.attention = "forgetting", .position = "cope"}}) {
    SCOPED_TRACE(testing::Message() << of);
    TrainedLayer layer(of);
    expect_gradients_of_differences(layer);
  }
}

// Query heads with a state each, which share keys and values.
TEST(RecordingSteps, UndoAScanWhoseStatesShareKeys) {
  TrainedLayer layer({.attention = "gla", .position = "rope", .options = {{"decay", std::string("retnet")}}});
  expect_gradients_of_differences(layer);
}

// One head, and heads that are wider than what is common and together not as wide as the hidden states.
TEST(RecordingSteps, UndoWideHeadsWithEveryPosition) {
  for (const std::string& position : plugins().ids(Kind::position)) {
    if (position == "learned") continue;  // adds to embeddings
    for (const auto& [heads, kv_heads, head_dim] : {std::tuple{1, 1, 256}, std::tuple{2, 1, 128}}) {
      SCOPED_TRACE(position + " with " + std::to_string(heads) + " heads of " + std::to_string(head_dim));
      TrainedLayer layer({"gqa", position, heads, kv_heads, head_dim});
      expect_gradients_of_differences(layer);
    }
  }
}

// Uses buffers as built-in variants do not: keys change after they were appended, each sequence attends in a call of
// its own, values of heads are written one by one into a buffer that layers share, and own work changes a buffer in
// place.
class Unusual final : public AttentionVariant {
 public:
  std::vector<ParameterSpec> parameters() const override {
    std::vector<ParameterSpec> specs;
    for (const char* name : {"q", "k", "v", "o"}) specs.push_back({.name = name, .shape = {kHidden, kHidden}});
    return specs;
  }
  void bind(const ParameterSet& set) override {
    for (const char* name : {"q", "k", "v", "o"}) weights_[name] = &set.matrix(name);
  }
  KvShape kv_shape() const override { return {.kv_heads = 3, .key_dim = 16, .value_dim = 16}; }
  void forward(const LayerContext& layer, TensorView<const float, 2> hidden, TensorView<float, 2> out) override {
    Steps& steps = layer.steps;
    const std::int64_t tokens = layer.chunk.tokens();
    const auto q = steps.rows(tokens, 3, 16), k = steps.rows(tokens, 3, 16), mixed = steps.rows(tokens, 3, 16);
    const auto v = steps.share("values", tokens, 3, 16);
    steps.project(hidden, {*weights_["q"], flat(q)});
    steps.project(hidden, {*weights_["k"], flat(k)});
    const auto all = steps.rows(tokens, kHidden);
    steps.project(hidden, {*weights_["v"], all});
    for (const std::int64_t head : {2, 0, 1}) {  // the buffer as three, the last first
      const TensorView<float, 3> from(all.data() + 16 * head, {tokens, 1, 16}, {kHidden, 16, 1});
      const TensorView<float, 3> to(v.data() + 16 * head, {tokens, 1, 16}, {48, 16, 1});
      steps.norm(from, ones_, 1e-6F, to);
    }
    steps.constant(ones_);
    steps.append(k, v);
    steps.silu(k);  // changes nothing that was appended
    for (std::int64_t i = 0; i < q.elements(); ++i) q.data()[i] *= 0.5F;
    steps.custom({.reads = {all_of(q)}, .writes = {all_of(q)}}, [q](Gradients& of) {
      const auto of_q = of.of(q);
      for (std::int64_t i = 0; i < q.elements(); ++i) of_q.data()[i] *= 0.5F;
    });
    for (int sequence = 0; sequence < layer.chunk.sequences(); ++sequence) {
      Part& part = parts_.emplace_back(layer.chunk, sequence);
      const int first = layer.chunk.first(sequence), count = layer.chunk.tokens_of(sequence);
      steps.attend({.queries = q.slice(first, count), .scale = 0.25F, .mask = mask_, .chunk = &part.view},
                   mixed.slice(first, count));
    }
    steps.project(flat(mixed), {*weights_["o"], out});
  }

 private:
  // One sequence of a chunk; the others have no tokens.
  struct Part {
    Part(const ChunkView& chunk, int sequence) {
      for (int i = 0; i <= chunk.sequences(); ++i) offsets.push_back(i > sequence ? chunk.tokens_of(sequence) : 0);
      view = {offsets, chunk.positions_of(sequence), chunk.phases, chunk.lengths};
    }
    std::vector<std::int32_t> offsets;
    ChunkView view;
  };
  std::map<std::string, const Matrix*> weights_;
  std::vector<float> ones_ = std::vector<float>(16, 1.0F);
  CausalMask mask_;
  std::deque<Part> parts_;
};

TEST(RecordingSteps, UndoUnusualUsesOfBuffers) {
  TrainedLayer layer({"unusual", "rope"}, std::make_unique<Unusual>());
  expect_gradients_of_differences(layer);
}

// A variant that does one thing which cannot be undone.
class Wrong final : public AttentionVariant {
 public:
  enum class What : std::uint8_t { untold_work, passing_mask, derived_numbers, hook_without_derivative };
  explicit Wrong(What what) : what_(what) {}
  KvShape kv_shape() const override { return {.kv_heads = 2, .key_dim = 8, .value_dim = 8}; }
  void forward(const LayerContext& layer, TensorView<const float, 2> hidden, TensorView<float, 2> out) override {
    Steps& steps = layer.steps;
    const std::int64_t tokens = layer.chunk.tokens();
    const auto rows = [&](TensorView<const float, 2> from) {
      const auto made = steps.rows(tokens, 2, 8);
      for (std::int64_t token = 0; token < tokens; ++token) std::copy_n(from.row(token).data(), 16, &made(token, 0, 0));
      if (what_ != What::untold_work) steps.custom({.reads = {}, .writes = {all_of(made)}}, [](Gradients&) {});
      return made;
    };
    const auto q = rows(hidden), k = rows(hidden), v = rows(hidden);
    if (what_ == What::derived_numbers) steps.convolve(derived_, {nullptr, {1, 0}}, q);
    steps.append(k, v);
    const CausalMask passing;
    const MaskRule& lasting = lasting_;
    const ScoreHook* const hooks[] = {&halving_};
    steps.attend({.queries = q,
                  .scale = 1,
                  .hooks = what_ == What::hook_without_derivative ? std::span<const ScoreHook* const>(hooks)
                                                                  : std::span<const ScoreHook* const>(),
                  .mask = what_ == What::passing_mask ? static_cast<const MaskRule&>(passing) : lasting},
                 {out.data(), {tokens, 2, 8}});
  }

 private:
  class Halving final : public ScoreHook {
   public:
    void apply(ScoreTile& tile) const noexcept override { tile.scores(0, 0, 0) /= 2; }
  };
  What what_;
  CausalMask lasting_;
  Halving halving_;
  std::vector<float> derived_ = std::vector<float>(16, 0.5F);  // one tap a channel, made by the variant
};

TEST(RecordingSteps, RefuseWhatTheyCannotUndo) {
  const std::map<Wrong::What, std::string> reasons{
      {Wrong::What::untold_work, "reads what no step has written"},
      {Wrong::What::passing_mask, "a MaskRule that ends with the call is needed again"},
      {Wrong::What::derived_numbers, "numbers that a component derived from its parameters"},
      {Wrong::What::hook_without_derivative, "its change of scores has no derivative"}};
  for (const auto& [what, reason] : reasons) {
    const auto variant = std::make_unique<Wrong>(what);  // not on the stack, as a model has it
    const auto position = plugins().position("none", {}, {.head_dim = 8});
    const auto cache =
        plugins().cache("full", {}, {})->create(cache_context(variant->kv_shape(), 2, 1, KeyForm::rotated));
    const Chunk chunk = Chunk().add(0, 3);
    const ChunkView view = chunk.view();
    std::vector<float> hidden = Stream(kSeed).normals(48), out(48);
    Scratch scratch;
    TrainedParameters parameters;
    RecordingSteps steps(scratch, parameters);
    try {
      run_layer(steps, *variant, {.chunk = view, .cache = *cache, .position = *position},
                matrix_view(std::as_const(hidden), 16), matrix_view(out, 16));
      steps.backward();
      ADD_FAILURE() << "nothing was refused; expected: " << reason;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(reason), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace attnlab
