// What a measurement says was executed, and what a model's weights take, against counts by hand: from the shapes of
// configs/models/tiny.yaml, for the form that really runs.
#include <algorithm>
#include <functional>

#include <gtest/gtest.h>

#include "assembly/arm_cost.h"
#include "assembly/arm_model.h"
#include "assembly/layer_run.h"
#include "reference/plugins.h"
#include "workloads/forward_time.h"
#include "workloads/speed.h"

namespace attnlab::experiment {
namespace {

using reference::plugins;

constexpr double kHidden = 64, kInner = 176, kVocab = 512, kLayers = 2, kHeads = 4, kKvHeads = 2, kHeadDim = 16;
constexpr double kMlp = 3 * kHidden * kInner;

const ModelSource& tiny_source() {
  static const ModelSource source = ModelSource::open(ATTNLAB_SOURCE_DIR "/configs/models/tiny.yaml");
  return source;
}

ResolvedArm tiny_arm(const std::string& attention, const std::string& cache) {
  const ComponentLookup lookup = lookup_in(plugins());
  Arm arm;
  arm.attention = parse_layered(Kind::attention, attention, "--attention", lookup);
  arm.position = parse_layered(Kind::position, "rope", "--position", lookup);
  arm.cache = parse_layered(Kind::cache, cache, "--cache", lookup);
  return resolve_arm(arm, tiny_source().config(), plugins());
}

model::Decoder tiny(const std::string& attention, const std::string& cache) {
  return build_decoder(tiny_arm(attention, cache), tiny_source(), plugins(), {});
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

// Of a policy that acts at the end of the prompt alone, of one that goes on, of one whose bound is reached on the way,
// and of none: rows of a kv head that the step reads in which a sequence gets to `length` tokens.
TEST(WorkOfAStep, OfAPromptAndItsContinuationIsTheMeanOfAllSteps) {
  constexpr int kPrompt = 120, kGenerate = 40, kSequences = 2;
  const auto expect_rows = [&](const std::string& cache, const std::function<double(int)>& rows_of) {
    model::Decoder decoder = tiny("gqa", cache);
    const Measured measured = measure_speed(decoder, PromptShape{kPrompt, kGenerate, kSequences}, 1);
    double rows = 0;
    for (int length = kPrompt + 1; length <= kPrompt + kGenerate; ++length) rows += rows_of(length) / kGenerate;
    const double multiply_adds =
        kSequences * (kLayers * (kOfGqa + kMlp + rows * kHeads * 2 * kHeadDim) + kHidden * kVocab);
    const double bytes = 4 * (kLayers * (kOfGqa + kMlp) + kHidden * kVocab) +
                         kSequences * kLayers * rows * kKvHeads * (2 * kHeadDim * 4 + 4);
    EXPECT_NEAR(measured.details.at("operations_per_step").get<double>(), 2 * multiply_adds, 1e-9 * multiply_adds)
        << cache;
    EXPECT_NEAR(measured.details.at("bytes_per_step").get<double>(), bytes, 1e-9 * bytes) << cache;
  };
  expect_rows("full", [](int length) { return length; });
  expect_rows("{snapkv: {budget: 48, window: 8}}", [](int length) { return 48 + length - kPrompt; });
  expect_rows("{expected_attention: {budget: 48}}", [](int length) { return 48 + length - kPrompt; });
  expect_rows("{tova: {budget: 48}}", [](int) { return 49; });
  expect_rows("{tova: {budget: 130}}", [](int length) { return std::min(length, 131); });
}

constexpr int kBlock = 8, kTopK = 3;
const std::string kMoba = "{moba: {block: 8, top_k: 3}}";

// Rows that a query at `position` reads, and multiply-adds of the gates of a kv head's group.
double rows_of_moba(int position) {
  return std::min(position / kBlock, kTopK - 1) * kBlock + position % kBlock + 1;
}
double gates_of_moba(int position) {
  return position / kBlock * kHeads * kHeadDim;
}
// The mean of a block that is new to the step at `position`.
double mean_of_moba(int position) {
  return position % kBlock == 0 ? kBlock * kKvHeads * kHeadDim : 0;
}

// The means of the blocks that are there beforehand are no part of the first step.
TEST(WorkOfAStep, DoesNotHoldWhatWasComputedOnceOfTheRowsBefore) {
  constexpr int kRows = 300, kGenerate = 24;
  const auto expected = [](int first, int last) {
    double attention = 0;
    for (int position = first; position < last; ++position)
      attention += rows_of_moba(position) * kHeads * 2 * kHeadDim + gates_of_moba(position) + mean_of_moba(position);
    return kLayers * (kOfGqa + kMlp + attention / (last - first)) + kHidden * kVocab;
  };
  model::Decoder decoder = tiny(kMoba, "full");
  const Batch batch{{.count = 1, .new_tokens = 1, .total = kRows}};
  const double of_batch = expected(kRows - decode_steps(batch), kRows);
  EXPECT_NEAR(measure_speed(decoder, batch, 1).details.at("operations_per_step").get<double>(), 2 * of_batch,
              1e-9 * of_batch);
  const double of_shape = expected(kRows, kRows + kGenerate);
  EXPECT_NEAR(
      measure_speed(decoder, PromptShape{kRows, kGenerate, 1}, 1).details.at("operations_per_step").get<double>(),
      2 * of_shape, 1e-9 * of_shape);
}

TEST(Operations, OfAPieceOfAPromptDoNotHoldTheMeansOfTheBlocksBefore) {
  constexpr int kBefore = 200, kTokens = 100;
  double attention = 0;
  for (int position = kBefore; position < kBefore + kTokens; ++position)
    attention += rows_of_moba(position) * kHeads * 2 * kHeadDim + gates_of_moba(position);
  const int blocks = (kBefore + kTokens - 1) / kBlock - (kBefore - 1) / kBlock;  // whose means are new
  attention += blocks * kBlock * kKvHeads * kHeadDim;
  const double right = kLayers * (kTokens * (kOfGqa + kMlp) + attention) + kHidden * kVocab;
  model::Decoder decoder = tiny(kMoba, "full");
  const SpeedCase piece = Batch{{.count = 1, .new_tokens = kTokens, .total = kBefore + kTokens}};
  const Measured measured = measure_speed(decoder, piece, 1);
  const double operations = sample(measured, report::kOperationsPerSecond) * sample(measured, "time_to_first_token_s");
  EXPECT_NEAR(operations, 2 * right, 1e-9 * right);
}

// The same of one layer that is driven by itself, as `bench` does.
TEST(LayerRun, CountsStepsOfALayerThatHasSeenTheRowsBefore) {
  constexpr int kRows = 200;
  const ComponentLookup lookup = lookup_in(plugins());
  const auto choice = [&](Kind kind, const std::string& text) {
    return parse_layered(kind, text, "test", lookup).base;
  };
  const Composition parts =
      compose(plugins(), choice(Kind::attention, kMoba), choice(Kind::position, "rope"), choice(Kind::cache, "full"));
  LayerRun layer(plugins(), parts, {.hidden_dim = 64, .heads = 4, .kv_heads = 2, .head_dim = 16, .context = 512}, 1);
  layer.fill(kRows, kRows);
  EXPECT_EQ(layer.live_rows(), kKvHeads * kRows);
  for (int position = kRows; position < kRows + 2 * kBlock; ++position)
    EXPECT_EQ(layer.count_hidden(1, Phase::decode).own_multiply_adds, gates_of_moba(position) + mean_of_moba(position))
        << position;
}

// What is said of an arm before it runs, by a model without weights.
class EstimatedWork {
 public:
  EstimatedWork(const std::string& attention, const std::string& cache, int length)
      : arm_(tiny_arm(attention, cache)),
        decoder_(build_decoder(arm_, tiny_source(), plugins(), {.check_only = true})),
        cost_(cost_of(decoder_, length)) {
    model::Session session = decoder_.make_session(1, length);
    time_.emplace(cost_, kept_rows(arm_, plugins(), session), roof_);
  }
  [[nodiscard]] const ForwardTime& time() const { return *time_; }
  // The mean of steps from a prompt to a length.
  [[nodiscard]] ForwardWork mean_step(int prompt, int length) const {
    ForwardWork mean;
    for (int at = prompt + 1; at <= length; ++at) {
      const DecodedSequences one{.length = static_cast<double>(at), .prompt = static_cast<double>(prompt)};
      const ForwardWork step = time_->step_work({&one, 1});
      mean.multiply_adds += step.multiply_adds / (length - prompt);
      mean.bytes += step.bytes / (length - prompt);
    }
    return mean;
  }

 private:
  ResolvedArm arm_;
  model::Decoder decoder_;
  ArmCost cost_;
  RoofProbe roof_{.fma_flops_per_second = 1e10, .read_bytes_per_second = 1e10};
  std::optional<ForwardTime> time_;
};

TEST(Estimates, AreOfTheWorkThatAMeasurementCounts) {
  constexpr int kRows = 300;
  for (const auto& [attention, cache] : {std::pair<std::string, std::string>{"gqa", "full"},
                                         {"mha", "{full: {storage: int8}}"},
                                         {"{gqa: {window: 16}}", "full"},
                                         {"gqa", "{window: {window: 16}}"},
                                         {"gqa", "{tova: {budget: 48}}"},
                                         {"gqa", "{snapkv: {budget: 48, window: 8}}"},
                                         {"talking_heads", "full"},
                                         {"{cross_layer: {share: 2}}", "full"},
                                         {mla("auto"), "full"},
                                         {mla("absorbed"), "full"},
                                         {mla("expanded"), "full"}}) {
    SCOPED_TRACE(attention + ", " + cache);
    model::Decoder decoder = tiny(attention, cache);
    const EstimatedWork estimated(attention, cache, kRows);
    for (const int tokens : {100, 500}) {
      const double operations = operations_of_prompt(decoder, tokens);
      EXPECT_NEAR(2 * estimated.time().prefill_work(tokens, 0, 1).multiply_adds, operations, 1e-9 * operations);
    }
    const Batch batch{{.count = 1, .new_tokens = 1, .total = kRows}};
    const nlohmann::json details = measure_speed(decoder, batch, 1).details;
    const ForwardWork step = estimated.mean_step(kRows - decode_steps(batch), kRows);
    EXPECT_NEAR(2 * step.multiply_adds / details.at("operations_per_step").get<double>(), 1, 1e-9);
    EXPECT_NEAR(step.bytes / details.at("bytes_per_step").get<double>(), 1, 1e-9);
  }
}

// In chunks: a variant that makes keys and values of cached rows makes those of the chunks before anew.
TEST(Estimates, KnowThatALongPromptIsExpandedOnceAChunk) {
  constexpr int kTokens = 1200;
  model::Decoder decoder = tiny(mla("auto"), "full");
  const double operations = operations_of_prompt(decoder, kTokens);
  const EstimatedWork estimated(mla("auto"), "full", kTokens);
  EXPECT_NEAR(2 * estimated.time().prefill_work(kTokens, 0, 1).multiply_adds, operations, 1e-9 * operations);
}

// Of a choice among blocks the bound is known, not how far the own block is filled.
TEST(Estimates, BoundTheRowsThatAChoiceOfBlocksReads) {
  constexpr int kRows = 2000;
  model::Decoder decoder = tiny(kMoba, "full");
  const Batch batch{{.count = 1, .new_tokens = 1, .total = kRows}};
  const double counted = measure_speed(decoder, batch, 1).details.at("operations_per_step").get<double>();
  const ForwardWork step = EstimatedWork(kMoba, "full", kRows).mean_step(kRows - decode_steps(batch), kRows);
  const double gates = 2.0 * kLayers * kRows / kBlock * kHeads * kHeadDim;  // which are not estimated
  EXPECT_GE(2 * step.multiply_adds, counted - gates);
  EXPECT_LE(2 * step.multiply_adds, 1.02 * (counted - gates));
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
