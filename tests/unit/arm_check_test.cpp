// The check of an arm: a few queries of a call computed anew are enough to see a fault in what they stand for, and a
// case is fed with the lengths and the phases that it is measured with.
#include <gtest/gtest.h>

#include "experiment/arm_check.h"
#include "experiment/arm_model.h"
#include "experiment/feeding.h"
#include "reference/attend_case.h"
#include "reference/plugins.h"

namespace attnlab::experiment {
namespace {

using namespace reference;

constexpr std::uint64_t kSeed = 7;

// Answers of the core in which everything from token `from` on, of one head, is off.
double deviation_of(ReferenceComparison& comparison, const AttendCase& c, int from, int head) {
  const ChunkView chunk = c.chunk.view();
  RowSource::Settings settings;
  settings.lengths = c.chunk.lengths;
  const RowSource source(c.rows, settings);
  std::vector<float> out = run_attend(c);
  const auto view = rows_view(out, c.shape.heads(), c.shape.kv.value_dim);
  for (int token = from; token < chunk.tokens(); ++token)
    for (int i = 0; i < c.shape.kv.value_dim; ++i) view(token, head, i) += 0.5F;
  const CausalMask mask;
  comparison.attended({.queries = rows_view(c.queries, c.shape.heads(), c.shape.kv.key_dim),
                       .chunk = chunk,
                       .source = source,
                       .scale = c.scale(),
                       .mask = mask},
                      view);
  return comparison.deviation();
}

AttendCase some_case(std::vector<int> held, std::vector<int> tokens) {
  Stream stream(kSeed);
  return {{{.kv_heads = 2, .key_dim = 16, .value_dim = 16}, 2, std::move(held), std::move(tokens)}, stream};
}

TEST(ReferenceComparison, OfAFewQueriesPassesWhatIsRight) {
  ReferenceComparison comparison(100);
  const AttendCase c = some_case({300, 0, 20}, {1, 70, 0});
  for (int call = 0; call < 8; ++call) EXPECT_LT(deviation_of(comparison, c, 1000, 0), 1e-5);
  EXPECT_EQ(comparison.calls(), 8);
}

TEST(ReferenceComparison, OfAFewQueriesComesToTheNewestTokenOfEverySequenceAndToEveryHead) {
  const AttendCase c = some_case({300, 0}, {1, 70});
  for (const int from : {0, 70})  // both sequences, or the newest token of the second
    for (int head = 0; head < 4; ++head) {
      ReferenceComparison comparison(1);  // less than one query's rows: one query of each sequence
      for (int call = 0; call < 4; ++call) (void)deviation_of(comparison, c, from, head);
      EXPECT_GT(comparison.deviation(), 0.01) << "head " << head;
    }
}

TEST(ReferenceComparison, WithoutABoundSeesEveryQuery) {
  const AttendCase c = some_case({10}, {5});
  for (int token = 0; token < 5; ++token)
    for (int head = 0; head < 4; ++head) {
      ReferenceComparison comparison;
      EXPECT_GT(deviation_of(comparison, c, token, head), 0.01);
    }
}

// Looks at what is fed instead of what is answered.
class FeedingLog final : public AttendObserver {
 public:
  void attended(const AttendArgs& args, TensorView<const float, 3>) override {
    for (int sequence = 0; sequence < args.chunk.sequences(); ++sequence)
      if (args.chunk.tokens_of(sequence) > 0)
        last = {args.chunk.lengths[sequence], args.chunk.positions_of(sequence).back(), args.chunk.phases[sequence]};
    longest = std::max(longest, args.chunk.tokens());
  }
  struct Fed {
    Position length = 0, position = 0;
    Phase phase = Phase::prefill;
  };
  Fed last;
  int longest = 0;
};

model::Decoder tiny(const std::string& cache) {
  static const ModelSource source = ModelSource::open(ATTNLAB_SOURCE_DIR "/configs/models/tiny.yaml");
  const ComponentLookup lookup = lookup_in(plugins());
  Arm arm;
  arm.attention = parse_layered(Kind::attention, "gqa", "--attention", lookup);
  arm.position = parse_layered(Kind::position, "rope", "--position", lookup);
  arm.cache = parse_layered(Kind::cache, cache, "--cache", lookup);
  return build_decoder(resolve_arm(arm, source.config(), plugins()), source, plugins(), {});
}

// A long prompt costs what its rows cost; the model sees only its end.
TEST(CheckArm, FeedsTheLengthsOfTheCaseAndOnlyTheEndOfALongPrompt) {
  model::Decoder decoder = tiny("{snapkv: {budget: 0.25, window: 32}}");
  FeedingLog log;
  AttendObserver* before = observe_attend(&log);
  {
    model::Session session = decoder.make_session(1, 8000);
    begin_prompts(decoder, session, std::vector<int>{7900}, std::vector<int>{7990}, 1);
    EXPECT_EQ(session.cache(0).rows(0, 0), 7900) << "a prompt that has not ended keeps all";
    const std::vector<model::TokenId> tokens(90, 1);
    feed_batch(decoder, session, std::vector<int>{90}, tokens, [](auto, auto) {});
    EXPECT_EQ(session.cache(0).rows(0, 0), 2000) << "a quarter of what the sequence may reach";
    EXPECT_EQ(log.last.length, 7990);
    EXPECT_EQ(log.last.phase, Phase::last_prefill);
  }
  observe_attend(before);
  const CaseFeeding feeding{.capacities = {8000}, .filled = {0}, .prompts = {7990}, .decodes = true};
  EXPECT_EQ(check_arm(decoder, std::span(&feeding, 1), false), std::nullopt);
}

TEST(CheckArm, TakesEveryPolicyThatLooksAtQueriesWithShares) {
  for (const char* cache : {"{expected_attention: {budget: 0.25}}", "expected_attention",
                            "{expected_attention: {budget: 64, storage: int8}}", "{h2o: {heavy: 0.1, recent: 0.1}}"}) {
    model::Decoder decoder = tiny(cache);
    const CaseFeeding feedings[] = {
        {.capacities = {1024, 1024}, .filled = {992, 992}, .prompts = {0, 0}, .decodes = true},
        {.capacities = {304}, .filled = {0}, .prompts = {300}, .decodes = true},
        {.capacities = {600, 600}, .filled = {300, 599}, .prompts = {300, 1}, .decodes = false}};
    EXPECT_EQ(check_arm(decoder, feedings, false), std::nullopt) << cache;
  }
}

}  // namespace
}  // namespace attnlab::experiment
