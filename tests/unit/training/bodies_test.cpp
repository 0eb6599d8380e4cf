// Models of every kind of body are computed, trained, counted, kept and read back as what their YAML says; logits are
// made only where there is a loss.
#include <cmath>
#include <memory>
#include <numeric>
#include <ostream>
#include <set>

#include <gtest/gtest.h>

#include "assembly/arm_model.h"
#include "assembly/model_source.h"
#include "choices/layered_choice.h"
#include "model/body.h"
#include "parallel/keep_threads.h"
#include "reference/plugins.h"
#include "steps/checking_steps.h"
#include "steps/counting_steps.h"
#include "training/trained_checkpoint.h"
#include "training/trained_model.h"
#include "unit/heap_count.h"
#include "unit/model_test_files.h"

namespace attnlab::training {
namespace {

namespace fs = std::filesystem;
using reference::plugins;
using reference::same_bits;
using reference::Stream;

constexpr int kVocab = 50;

struct Body {
  std::string name;
  std::string keys;  // of the model YAML
  std::string type = "attnlab";
  friend std::ostream& operator<<(std::ostream& stream, const Body& body) { return stream << body.name; }
};

// One head that is wider than the stream, weights that let attention be far from uniform.
constexpr const char* kShape =
    "hidden_size: 24\nnum_hidden_layers: 2\nnum_attention_heads: 1\nhead_dim: 40\nvocab_size: 50\n"
    "max_position_embeddings: 128\ninitializer_range: 0.2\ntie_word_embeddings: false\n";
constexpr const char* kInner = "intermediate_size: 56\n";

const Body kBodies[] = {
    {"LlamaBody", kInner, "llama"},
    {"LlamaBodySpelledOut", std::string(kInner) + "norm: rms\nmlp: gated\nactivation: silu\n", "llama"},
    {"LayerNorm", std::string(kInner) + "norm: layer\nlayer_norm_eps: 1.0e-4\n"},
    {"NoMlp", "mlp: none\n"},
    {"NoMlpLayerNorm", "mlp: none\nnorm: layer\n"},
    {"PlainGelu", std::string(kInner) + "mlp: plain\nactivation: gelu\nnorm: layer\nmlp_bias: true\n"},
    {"PlainRelu2", std::string(kInner) + "mlp: plain\nhidden_act: relu2\n"},
    {"GatedGeluTanh", std::string(kInner) + "hidden_act: gelu_pytorch_tanh\n"},
    {"GatedRelu", std::string(kInner) + "activation: relu\nmlp_bias: true\n"},
};

// With the model's own attention and the given positions.
model::Decoder decoder_of(const experiment::ModelSource& source, const std::string& position = "rope") {
  const experiment::ComponentLookup lookup = experiment::lookup_in(plugins());
  const experiment::ArmDefaults own = experiment::arm_defaults(source.config());
  experiment::Arm arm;
  arm.attention = experiment::parse_layered(Kind::attention, own.attention, "the model", lookup);
  arm.position = experiment::parse_layered(Kind::position, position, "the model", lookup);
  arm.cache = experiment::parse_layered(Kind::cache, own.cache, "the model", lookup);
  return experiment::build_decoder(experiment::resolve_arm(arm, source.config(), plugins()), source, plugins(),
                                   {.seed = 3, .widen = true});
}

std::vector<model::TokenId> ids(int count, std::uint64_t seed, int vocab = kVocab) {
  Stream stream(seed);
  std::vector<model::TokenId> made;
  for (int i = 0; i < count; ++i) made.push_back(stream.between(0, vocab - 1));
  return made;
}

// A text, and the next token asked for everywhere but at its end.
struct Text {
  explicit Text(int length) : input(ids(length, 8)), targets(input.begin() + 1, input.end()) {
    targets.push_back(kNoTarget);
  }
  [[nodiscard]] TrainingSequence sequence() const { return {input, targets}; }
  std::vector<model::TokenId> input, targets;
};

std::vector<float> logits_of(model::Decoder& decoder) {
  model::Session session = decoder.make_session(1, 32);
  const std::vector<model::TokenId> tokens = ids(20, 4);
  const model::SequenceTokens input{0, tokens, Phase::last_prefill};
  const TensorView<const float, 2> hidden = decoder.forward(session, {&input, 1});
  std::vector<float> logits(static_cast<std::size_t>(hidden.extent(0)) * kVocab);
  decoder.logits(hidden, {logits.data(), {hidden.extent(0), kVocab}});
  return logits;
}

double dot(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

class EveryBody : public testing::TestWithParam<Body> {
 protected:
  EveryBody() : yaml_(place_.write("model.yaml", kShape + GetParam().keys)), source_(open(yaml_)) {}
  static experiment::ModelSource open(const fs::path& path) { return experiment::ModelSource::open(path); }

  model_test::TempFolder place_;
  fs::path yaml_;
  experiment::ModelSource source_;
};

// The direction is half the gradient's own, so that the loss changes, half a random one, so that a gradient of zero is
// found. Of the differences of two neighbouring steps that agree best, those of the smaller are right: a large step
// feels that the loss is bent, a small one that it is rounded to f32.
TEST_P(EveryBody, HasTheGradientsOfFiniteDifferences) {
  constexpr double kSteps[] = {3e-3, 1e-3, 3e-4, 1e-4, 3e-5};
  model::Decoder decoder = decoder_of(source_);
  TrainedModel model(decoder);
  // A relu is bent at 0, where differences are not its slope: its inputs are kept away from it, on both sides.
  if (source_.config().activation == Activation::relu)
    for (TrainedParameter& parameter : model.parameters().all())
      if (parameter.name.ends_with("gate_proj.bias"))
        for (std::size_t i = 0; i < parameter.values.size(); ++i) parameter.values[i] = i % 2 == 0 ? 5.0F : -5.0F;
  const Text text(60);
  const TrainingSequence sequence = text.sequence();
  const double recorded = model.accumulate({&sequence, 1}, 1).sum;
  EXPECT_EQ(recorded, model.evaluate({&sequence, 1}).sum) << "recording changed a result";

  std::vector<std::pair<double, double>> found;  // by the gradient, by differences
  double most = 0;
  for (TrainedParameter& parameter : model.parameters().all()) {
    const std::vector<float> before(parameter.values.begin(), parameter.values.end());
    std::vector<float> along = Stream(7 + found.size()).normals(static_cast<std::int64_t>(before.size()));
    const double random = std::sqrt(dot(along, along)), size = std::sqrt(dot(before, before));
    const double gradient = std::sqrt(dot(parameter.gradient, parameter.gradient));
    ASSERT_GT(gradient, 0) << parameter.name;
    for (std::size_t i = 0; i < along.size(); ++i)
      along[i] = static_cast<float>((size > 0 ? size : 1) * (along[i] / random + parameter.gradient[i] / gradient));
    const auto loss_at = [&](double step) {
      for (std::size_t i = 0; i < along.size(); ++i)
        parameter.values[i] = before[i] + static_cast<float>(step * along[i]);
      model.write_back();
      return model.evaluate({&sequence, 1}).sum;
    };
    double right = 0, last = 0, apart = INFINITY;
    for (const double step : kSteps) {
      const double difference =
          (8 * (loss_at(step) - loss_at(-step)) - (loss_at(2 * step) - loss_at(-2 * step))) / (12 * step);
      if (step != kSteps[0] && std::abs(difference - last) < apart) {
        apart = std::abs(difference - last);
        right = difference;
      }
      last = difference;
    }
    std::ranges::copy(before, parameter.values.begin());
    model.write_back();
    found.emplace_back(dot(parameter.gradient, along), right);
    most = std::max(most, std::abs(right));
  }
  std::size_t index = 0;
  for (const TrainedParameter& parameter : model.parameters().all()) {
    const auto& [by_gradient, right] = found[index++];
    EXPECT_NEAR(by_gradient, right, 1e-3 * std::abs(right) + 1e-4 * most) << parameter.name;
  }
}

TEST_P(EveryBody, HasTheTensorsAndTheProductsThatItsKeysSay) {
  model::Decoder decoder = decoder_of(source_);
  std::set<std::string> of_layer;
  std::int64_t of_body = 0, in_products = 0;
  for (const model::ParameterPlace& place : decoder.parameters()) {
    const std::int64_t numbers =
        std::accumulate(place.shape.begin(), place.shape.end(), std::int64_t{1}, std::multiplies<>());
    const std::string layer = "model.layers.1.";
    const bool is_of_ends = place.name == "model.embed_tokens.weight" || place.name == "lm_head.weight";
    if (place.name.find(".self_attn.") == std::string::npos && !is_of_ends) {
      of_body += numbers;
      if (place.name.starts_with(layer)) of_layer.insert(place.name.substr(layer.size()));
    }
    if (place.matrix != nullptr && !is_of_ends) in_products += numbers;
  }
  const model::ModelConfig& config = source_.config();
  EXPECT_EQ(of_body, model::body_parameters(config));
  std::set<std::string> right{"input_layernorm.weight"};
  if (config.mlp != model::MlpKind::none) {
    right.insert({"post_attention_layernorm.weight", "mlp.up_proj.weight", "mlp.down_proj.weight"});
    if (config.mlp_bias) right.insert({"mlp.up_proj.bias", "mlp.down_proj.bias"});
  }
  if (config.mlp == model::MlpKind::gated) right.insert("mlp.gate_proj.weight");
  if (config.mlp == model::MlpKind::gated && config.mlp_bias) right.insert("mlp.gate_proj.bias");
  if (config.norm == NormKind::layer) {
    right.insert("input_layernorm.bias");
    if (config.mlp != model::MlpKind::none) right.insert("post_attention_layernorm.bias");
  }
  EXPECT_EQ(of_layer, right);

  Scratch scratch;
  CountingSteps counting(scratch, [&](int layer) { return decoder.row_bytes(layer); });
  CheckingSteps checking(scratch, [&](int layer) { return decoder.row_step(layer); });
  model::Session session = decoder.make_session(1, 32);
  const std::vector<model::TokenId> tokens = ids(20, 4);
  const model::SequenceTokens input{0, tokens, Phase::last_prefill};
  for (ModelSteps* steps : {static_cast<ModelSteps*>(&counting), static_cast<ModelSteps*>(&checking)}) {
    const model::WithSteps with(decoder, *steps);
    session.clear();
    (void)decoder.forward(session, {&input, 1});
  }
  EXPECT_EQ(counting.counts().weight_multiply_adds, 20.0 * static_cast<double>(in_products));
  EXPECT_LT(checking.largest().deviation, 1e-5) << checking.largest().text();
  EXPECT_EQ(checking.independent_steps().contains("activate"), config.mlp == model::MlpKind::plain);
  EXPECT_EQ(checking.independent_steps().contains("gated_project"), config.mlp == model::MlpKind::gated);
}

TEST_P(EveryBody, IsReadBackFromItsCheckpointWithTheSameLogitsUnderItsOwnName) {
  model::Decoder decoder = decoder_of(source_);
  TrainedModel model(decoder);
  // Numbers of a training: biases and norms are not what they began as.
  for (TrainedParameter& parameter : model.parameters().all()) {
    Stream stream(parameter.values.size());
    for (float& number : parameter.values) number += static_cast<float>(0.1 * stream.normal());
  }
  model.write_back();
  std::vector<TrainedTensor> tensors;
  for (const TrainedParameter& parameter : model.parameters().all())
    tensors.push_back({parameter.name, parameter.shape, parameter.values, parameter.gradient});
  const nlohmann::ordered_json config = config_of_start(yaml_, source_.config().architecture, tensors);
  write_checkpoint(place_.path() / "checkpoint", {.config = config}, tensors);
  EXPECT_EQ(config.at("model_type"), GetParam().type);
  EXPECT_EQ(config.at("architectures").at(0), GetParam().type == "llama" ? "LlamaForCausalLM" : "AttnLabForCausalLM");

  model::Decoder read = decoder_of(open(place_.path() / "checkpoint"));
  EXPECT_TRUE(same_bits(logits_of(read), logits_of(decoder)));
}

TEST_P(EveryBody, HasGradientsOfTheSameBitsForEveryNumberOfThreads) {
  const KeepThreads keep;
  const Text text(100);
  const std::vector<TrainingSequence> batch(3, text.sequence());
  std::vector<float> alone;
  for (const int threads : {1, 2, 3}) {
    set_threads(threads);
    model::Decoder decoder = decoder_of(source_);
    TrainedModel model(decoder);
    (void)model.accumulate(batch, 1);
    std::vector<float> all;
    for (const TrainedParameter& parameter : model.parameters().all())
      all.insert(all.end(), parameter.gradient.begin(), parameter.gradient.end());
    if (threads == 1) alone = all;
    EXPECT_TRUE(same_bits(all, alone)) << threads << " threads";
  }
}

INSTANTIATE_TEST_SUITE_P(, EveryBody, testing::ValuesIn(kBodies), [](const auto& body) { return body.param.name; });

double deviation_of(std::span<const float> values) {
  return std::sqrt(dot(values, values) / static_cast<double>(values.size()));
}

TEST(RandomStarts, HaveADeviationForAttentionAndOneForTheRest) {
  const model_test::TempFolder place;
  const std::string shape =
      "hidden_size: 64\nnum_hidden_layers: 2\nnum_attention_heads: 2\nvocab_size: 300\nintermediate_size: 96\n"
      "mlp: plain\nnorm: layer\nattention_initializer_range: 0.1\n";
  for (const bool says_rest : {false, true}) {
    const fs::path yaml = place.write("model.yaml", shape + (says_rest ? "initializer_range: 0.05\n" : ""));
    model::Decoder decoder = decoder_of(experiment::ModelSource::open(yaml));
    TrainedModel model(decoder);
    for (const TrainedParameter& parameter : model.parameters().all()) {
      const bool is_norm = parameter.name.find("norm") != std::string::npos;
      if (is_norm) {
        const float right = parameter.name.ends_with(".bias") ? 0.0F : 1.0F;
        for (const float number : parameter.values) EXPECT_EQ(number, right) << parameter.name;
        continue;
      }
      const bool is_of_attention = parameter.name.find(".self_attn.") != std::string::npos;
      const double right = is_of_attention ? 0.1 : says_rest ? 0.05 : 0.02;
      // Of n numbers the deviation is off by 1 / sqrt(2 n).
      EXPECT_NEAR(deviation_of(parameter.values), right,
                  5 * right / std::sqrt(2.0 * static_cast<double>(parameter.values.size())))
          << parameter.name;
    }
  }
}

// Steps that see how many rows of logits are made.
class HeadWatch final : public ThroughSteps {
 public:
  HeadWatch(Scratch& scratch, const Matrix& head) : ThroughSteps(scratch), head_(head) {}
  using Steps::project;
  void project(TensorView<const float, 2> input, std::span<const Projection> projections) override {
    for (const Projection& projection : projections)
      if (&projection.weight == &head_) rows += input.extent(0);
    ThroughSteps::project(input, projections);
  }
  std::int64_t rows = 0;

 private:
  const Matrix& head_;
};

TEST(Logits, OfALargeVocabularyAreMadeOnlyWhereThereIsALoss) {
  constexpr int kLarge = 65'536, kLength = 128, kSequences = 4;
  constexpr std::size_t kEverywhere = sizeof(float) * kSequences * kLength * kLarge;  // 128 MiB: [tokens, vocab]
  const model_test::TempFolder place;
  const fs::path yaml =
      place.write("model.yaml",
                  "hidden_size: 8\nnum_hidden_layers: 1\nnum_attention_heads: 1\nvocab_size: 65536\nmlp: none\n"
                  "max_position_embeddings: 128\n");
  model::Decoder decoder = decoder_of(experiment::ModelSource::open(yaml));
  TrainedModel model(decoder);
  Scratch scratch;
  HeadWatch watch(scratch, decoder.head());
  const model::WithSteps watched(decoder, watch);
  const std::vector<model::TokenId> input = ids(kLength, 2, kLarge);
  std::vector<model::TokenId> one(kLength, kNoTarget), none = one, all = ids(kLength, 3, kLarge);
  one[77] = kLarge - 1;
  // What a pass takes from the heap, after one that has made the caches.
  const auto bytes_of = [&](const std::vector<model::TokenId>& targets, std::int64_t rows) {
    const std::vector<TrainingSequence> batch(kSequences, TrainingSequence{input, targets});
    (void)model.accumulate(batch, 1);
    watch.rows = 0;
    const std::size_t bytes = test::heap_count_of([&] {
                                EXPECT_EQ(model.accumulate(batch, 1).predicted, rows);
                                EXPECT_EQ(model.evaluate(batch).predicted, rows);
                              }).bytes;
    EXPECT_EQ(watch.rows, 2 * rows);
    return bytes;
  };
  EXPECT_LT(bytes_of(none, 0), kEverywhere / 32);
  EXPECT_LT(bytes_of(one, kSequences), kEverywhere / 8);
  const std::size_t of_all = bytes_of(all, kSequences * kLength);
  EXPECT_GT(of_all, sizeof(float) * kLarge * 2) << "what is counted here is not what logits are made in";
  EXPECT_LT(of_all, kEverywhere) << "asked everywhere, logits are made a part at a time";
}

}  // namespace
}  // namespace attnlab::training
