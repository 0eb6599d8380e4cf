// What a measurement says was executed, and what a model's weights take, against counts by hand: from the shapes of
// configs/models/tiny.yaml, for the form that really runs.
#include <gtest/gtest.h>

#include "assembly/arm_model.h"
#include "assembly/layer_run.h"
#include "workloads/speed.h"
#include "reference/plugins.h"

namespace attnlab::experiment {
namespace {

using reference::plugins;

constexpr double kHidden = 64, kInner = 176, kVocab = 512, kLayers = 2, kHeads = 4, kKvHeads = 2, kHeadDim = 16;
constexpr double kMlp = 3 * kHidden * kInner;

model::Decoder tiny(const std::string& attention, const std::string& cache) {
  static const ModelSource source = ModelSource::open(ATTNLAB_SOURCE_DIR "/configs/models/tiny.yaml");
  const ComponentLookup lookup = lookup_in(plugins());
  Arm arm;
  arm.attention = parse_layered(Kind::attention, attention, "--attention", lookup);
  arm.position = parse_layered(Kind::position, "rope", "--position", lookup);
  arm.cache = parse_layered(Kind::cache, cache, "--cache", lookup);
  return build_decoder(resolve_arm(arm, source.config(), plugins()), source, plugins(), {});
}

double sample(const Measured& measured, std::string_view metric) {
  for (const report::Sample& one : measured.samples)
    if (one.metric == metric) return one.value;
  ADD_FAILURE() << "no " << metric;
  return 0;
}

// Multiply-adds of a prompt whose queries attend over `pairs` pairs of a head.
double operations_of_prompt(model::Decoder& decoder, int tokens) {
  const SpeedCase one = Batch{{.count = 1, .new_tokens = tokens, .total = tokens}};
  const Measured measured = measure_speed(decoder, one, 1);
  return sample(measured, report::kOperationsPerSecond) * sample(measured, "time_to_first_token_s");
}

constexpr double kOfGqa = (2 * kHeads + 2 * kKvHeads) * kHeadDim * kHidden;  // weights of a layer

TEST(Operations, OfAPromptAreThoseOfItsShapes) {
  constexpr int kTokens = 100;
  model::Decoder full = tiny("gqa", "full");
  const double pairs = kTokens * (kTokens + 1) / 2.0;
  const double right =
      kLayers * (kTokens * (kOfGqa + kMlp) + pairs * kHeads * 2 * kHeadDim) + kHidden * kVocab;  // one row of logits
  EXPECT_NEAR(operations_of_prompt(full, kTokens), 2 * right, 1e-9 * right);
}

// Of an arm whose queries see a part of the rows, too.
TEST(Operations, OfAWindowAreOfTheRowsThatItShows) {
  constexpr int kTokens = 100;
  constexpr int kWindow = 16;
  const double pairs = kWindow * (kWindow + 1) / 2.0 + (kTokens - kWindow) * kWindow;
  const double right = kLayers * (kTokens * (kOfGqa + kMlp) + pairs * kHeads * 2 * kHeadDim) + kHidden * kVocab;
  for (const auto& [attention, cache] :
       {std::pair("gqa", "{window: {window: 16}}"), std::pair("{gqa: {window: 16}}", "full")}) {
    model::Decoder decoder = tiny(attention, cache);
    EXPECT_NEAR(operations_of_prompt(decoder, kTokens), 2 * right, 1e-9 * right) << attention << ", " << cache;
  }
}

constexpr double kLatent = 32, kNope = 16, kRope = 8, kValue = 16;

std::string mla(const std::string& form) {
  return "{mla: {kv_lora_rank: 32, qk_nope_head_dim: 16, qk_rope_head_dim: 8, v_head_dim: 16, form: " + form + "}}";
}

TEST(Operations, OfMlaAreOfTheFormThatRuns) {
  constexpr int kTokens = 100;
  constexpr double kProjections =
      kHeads * (kNope + kRope) * kHidden + (kLatent + kRope) * kHidden + kHeads * kValue * kHidden;
  const double pairs = kTokens * (kTokens + 1) / 2.0;
  const auto right = [&](double width) {  // every token's latent is multiplied with the pairs' matrix in both forms
    return kLayers * (kTokens * (kProjections + kMlp + kHeads * (kNope + kValue) * kLatent) + pairs * kHeads * width) +
           kHidden * kVocab;
  };
  model::Decoder automatic = tiny(mla("auto"), "full");
  model::Decoder absorbed = tiny(mla("absorbed"), "full");
  EXPECT_NEAR(operations_of_prompt(automatic, kTokens), 2 * right(kNope + kRope + kValue), 1);
  EXPECT_NEAR(operations_of_prompt(absorbed, kTokens), 2 * right(kLatent + kRope + kLatent), 1);
}

// Steps of a batch, each over one row more: as executed on average, with rows as their storage holds them.
TEST(WorkOfAStep, IsWhatItExecutesAndReads) {
  for (const auto& [cache, row_bytes] :
       {std::pair("full", 2 * kHeadDim * 4 + 4), std::pair("{full: {storage: bf16}}", 2 * kHeadDim * 2 + 4)}) {
    model::Decoder decoder = tiny("gqa", cache);
    constexpr int kRows = 300;
    const Batch batch{{.count = 3, .new_tokens = 1, .total = kRows}};
    const Measured measured = measure_speed(decoder, batch, 1);
    const int steps = decode_steps(batch);
    const double rows = kRows - (steps - 1) / 2.0;  // of a sequence, on average
    const double multiply_adds = 3 * (kLayers * (kOfGqa + kMlp + rows * kHeads * 2 * kHeadDim) + kHidden * kVocab);
    const double bytes = 4 * (kLayers * (kOfGqa + kMlp) + kHidden * kVocab) + 3 * kLayers * rows * kKvHeads * row_bytes;
    EXPECT_NEAR(measured.details.at("operations_per_step").get<double>(), 2 * multiply_adds, 1e-9 * multiply_adds);
    EXPECT_NEAR(measured.details.at("bytes_per_step").get<double>(), bytes, 1e-9 * bytes) << cache;
  }
}

// What a variant packs for itself lies in memory beside what was loaded: two parts of every head of mla, and where it
// expands the whole matrix once more.
TEST(WeightBytes, CountWhatAVariantPacksForItself) {
  const double loaded = kHeads * (kNope + kRope) * kHidden + 48 * kHidden /* 40 outputs in whole vectors */ +
                        kHidden * kHeads * kValue + kHeads * (kNope + kValue) * kLatent + kLatent;
  const double parts = kHeads * (kLatent * kNope + kValue * kLatent);
  const double whole = kHeads * (kNope + kValue) * kLatent;
  const double rest = static_cast<double>(tiny("gqa", "full").weight_bytes()) - 4 * kLayers * kOfGqa;
  EXPECT_EQ(tiny(mla("absorbed"), "full").weight_bytes(), rest + 4 * kLayers * (loaded + parts));
  EXPECT_EQ(tiny(mla("auto"), "full").weight_bytes(), rest + 4 * kLayers * (loaded + parts + whole));
}

}  // namespace
}  // namespace attnlab::experiment
