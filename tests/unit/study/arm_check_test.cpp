// The check of an arm: a case is fed with the lengths and the phases that it is measured with.
#include <gtest/gtest.h>

#include "assembly/arm_model.h"
#include "assembly/feeding.h"
#include "conformance/arm_check.h"
#include "reference/plugins.h"
#include "steps/watched_steps.h"

namespace attnlab::experiment {
namespace {

using reference::plugins;

// Looks at what is fed instead of what is answered.
class FeedingLog final : public AttendWatcher {
 public:
  void attended(int, const AttendArgs& args, TensorView<const float, 3>) override {
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
  Scratch scratch;
  WatchedSteps steps(scratch, log);
  {
    const model::WithSteps with(decoder, steps);
    model::Session session = decoder.make_session(1, 8000);
    begin_prompts(decoder, session, std::vector<int>{7900}, std::vector<int>{7990}, 1);
    EXPECT_EQ(session.cache(0).rows(0, 0), 7900) << "a prompt that has not ended keeps all";
    const std::vector<model::TokenId> tokens(90, 1);
    feed_batch(decoder, session, std::vector<int>{90}, tokens, [](auto, auto) {});
    EXPECT_EQ(session.cache(0).rows(0, 0), 2000) << "a quarter of what the sequence may reach";
    EXPECT_EQ(log.last.length, 7990);
    EXPECT_EQ(log.last.phase, Phase::last_prefill);
  }
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
