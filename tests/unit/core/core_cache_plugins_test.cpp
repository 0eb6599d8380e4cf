// The cache plugins against their definitions: which rows a token sees, at which numbers, in a prompt and in decode,
// and that no more rows and bytes stay than the definition has.
#include <gtest/gtest.h>

#include "reference/cache_run.h"
#include "reference/rope_reference.h"

namespace attnlab {
namespace {

using namespace reference;

constexpr std::uint64_t kSeed = 3;
const Rope kRope{.head_dim = 16};

OptionValues window_options(std::int64_t window) {
  return {{"window", window}};
}
OptionValues sink_options(std::int64_t sinks, std::int64_t window, bool renumbered) {
  return {{"sinks", sinks}, {"window", window}, {"positions", std::string(renumbered ? "renumbered" : "original")}};
}

CacheSpec with_rope(CacheSpec spec) {
  spec.position = "rope";
  spec.position_options = kRope.options();
  return spec;
}
Definition definition(Position sinks, Position window, bool renumbered) {
  return {.seen = [=](Position position) { return sinks_and_window(position, sinks, window); },
          .renumbered = renumbered,
          .rules = {.rotate = kRope.rule()}};
}

void expect_definition(CacheRun& run, const std::vector<int>& tokens, const Definition& right, const char* when) {
  const std::vector<float> out = run.feed(tokens);
  const Answer expected = run.expected(right);
  EXPECT_LT(normalised_error(out, expected.out), attend_tolerance(16, 400, expected.largest_score)) << when;
}

// Ways to feed a prompt and what follows: at once, in pieces of all sizes, token by token.
const std::vector<std::vector<int>> kFeedings{
    {300, 1, 1, 1}, {1, 63, 64, 65, 1, 100, 1, 1}, {7, 200, 5, 50, 1, 1}, std::vector<int>(220, 1)};

TEST(WindowCache, LetsEveryTokenSeeTheNewestAndNothingElse) {
  for (const int window : {1, 5, 64, 100, 1000})
    for (const KeyForm form : {KeyForm::rotated, KeyForm::unrotated})
      for (const std::vector<int>& feeding : kFeedings) {
        SCOPED_TRACE(testing::Message() << "window " << window << ", chunks from " << feeding[0] << ", seed " << kSeed);
        CacheRun run(with_rope({.cache = "window", .options = window_options(window), .key_form = form}), kSeed);
        for (const int tokens : feeding) expect_definition(run, {tokens}, definition(0, window, false), "a chunk");
      }
}

TEST(WindowCache, WiderThanTheSequenceIsTheFullCacheToTheBit) {
  CacheRun windowed(with_rope({.cache = "window", .options = window_options(400)}), kSeed);
  CacheRun full(with_rope({.cache = "full"}), kSeed);
  for (const int tokens : {100, 1, 299}) EXPECT_TRUE(same_bits(windowed.feed({tokens}), full.feed({tokens})));
}

TEST(SinkCache, LetsEveryTokenSeeSinksAndWindowAtTheirOwnPositions) {
  for (const auto& [sinks, window] : {std::pair{4, 30}, {1, 1}, {70, 100}, {0, 20}, {4, 1000}, {300, 5}})
    for (const KeyForm form : {KeyForm::rotated, KeyForm::unrotated})
      for (const std::vector<int>& feeding : kFeedings) {
        SCOPED_TRACE(testing::Message() << sinks << " + " << window << ", chunks from " << feeding[0] << ", seed "
                                        << kSeed);
        CacheRun run(with_rope({.cache = "sink", .options = sink_options(sinks, window, false), .key_form = form}),
                     kSeed);
        for (const int tokens : feeding) expect_definition(run, {tokens}, definition(sinks, window, false), "a chunk");
      }
}

// The definition of StreamingLLM: the kept rows are numbered from 0, keys are rotated at their number and the query at
// the number of its own row.
TEST(SinkCache, RenumberedCountsTheRowsThatAreKept) {
  for (const auto& [sinks, window] : {std::pair{4, 30}, {1, 1}, {70, 100}, {0, 20}, {4, 1000}})
    for (const KeyForm form : {KeyForm::rotated, KeyForm::unrotated})
      for (const std::vector<int>& feeding : kFeedings) {
        SCOPED_TRACE(testing::Message() << sinks << " + " << window << ", chunks from " << feeding[0] << ", seed "
                                        << kSeed);
        CacheRun run(with_rope({.cache = "sink", .options = sink_options(sinks, window, true), .key_form = form}),
                     kSeed);
        for (const int tokens : feeding) expect_definition(run, {tokens}, definition(sinks, window, true), "a chunk");
      }
}

TEST(SinkCache, RenumberedCountsDistancesOfABiasToo) {
  CacheSpec spec{.cache = "sink", .options = sink_options(3, 20, true), .position = "alibi"};  // 4 heads
  CacheRun run(spec, kSeed);
  Definition right = definition(3, 20, true);
  right.rules.rotate = nullptr;
  right.rules.hook = [](double score, int head, Position query, Position key) {
    return score - std::exp2(-2.0 * (head + 1)) * (query - key);
  };
  for (const int tokens : {90, 1, 1, 40, 1}) expect_definition(run, {tokens}, right, "a chunk");
}

TEST(SinkCache, NumbersDifferFromPositionsOnlyOnceSomethingIsEvicted) {
  CacheRun renumbered(with_rope({.cache = "sink", .options = sink_options(4, 60, true)}), kSeed);
  CacheRun original(with_rope({.cache = "sink", .options = sink_options(4, 60, false)}), kSeed);
  for (const int tokens : {63, 1})
    EXPECT_TRUE(same_bits(renumbered.feed({tokens}), original.feed({tokens}))) << "seed " << kSeed;
  const std::vector<float> moved = renumbered.feed({50});
  EXPECT_GT(normalised_error(moved, original.feed({50})), 1e-3);
}

TEST(SinkCache, WithoutSinksIsTheWindow) {
  for (const bool renumbered : {false, true}) {
    CacheRun sink(with_rope({.cache = "sink", .options = sink_options(0, 33, renumbered)}), kSeed);
    CacheRun window(with_rope({.cache = "window", .options = window_options(33)}), kSeed);
    for (const int tokens : {50, 1, 120, 1})
      EXPECT_LT(normalised_error(sink.feed({tokens}), window.feed({tokens})), attend_tolerance(16, 170, 4));
  }
}

struct Policy {
  std::string name;
  CacheSpec spec;
  Position sinks;
  Position window;
  bool renumbered = false;
};

class EvictingCache : public testing::TestWithParam<Policy> {
 protected:
  CacheSpec spec(int sequences) const {
    CacheSpec spec = with_rope(GetParam().spec);
    spec.sequences = sequences;
    return spec;
  }
  Definition right() const { return definition(GetParam().sinks, GetParam().window, GetParam().renumbered); }
};

INSTANTIATE_TEST_SUITE_P(
    Policies, EvictingCache,
    testing::Values(Policy{"window", {.cache = "window", .options = window_options(50)}, 0, 50},
                    Policy{"window_of_tiles", {.cache = "window", .options = window_options(128)}, 0, 128},
                    Policy{"sink", {.cache = "sink", .options = sink_options(4, 60, true)}, 4, 60, true},
                    Policy{"sink_original", {.cache = "sink", .options = sink_options(70, 100, false)}, 70, 100}),
    [](const auto& info) { return info.param.name; });

TEST_P(EvictingCache, KeepsNoMoreRowsAndBytesThanItsDefinitionAfterEveryStep) {
  constexpr int kSequences = 3;
  const Position sinks = GetParam().sinks;
  const Position window = GetParam().window;
  CacheRun run(spec(kSequences), kSeed);
  const std::size_t block_bytes = kTileRows * (16 + 20) * sizeof(float);
  const auto blocks = [](std::int64_t rows) { return static_cast<std::size_t>((rows + kTileRows - 1) / kTileRows); };
  std::vector<int> fed(kSequences);
  Stream stream(kSeed + 1);
  for (int step = 0; step < 60; ++step) {
    std::vector<int> tokens(kSequences);
    for (int sequence = 0; sequence < kSequences; ++sequence) {
      // Mostly decode, sometimes a prompt, sometimes nothing.
      tokens[sequence] = step % 20 == 3 ? stream.between(0, 300) : stream.between(0, 1);
      fed[sequence] += tokens[sequence];
    }
    run.feed(tokens, step % 20 == 3 ? Phase::last_prefill : Phase::decode);
    std::size_t least = 0;
    std::size_t most = 0;
    for (int sequence = 0; sequence < kSequences; ++sequence)
      for (int head = 0; head < 2; ++head) {
        const int rows = std::min(fed[sequence], sinks + window);
        ASSERT_EQ(run.cache().rows(sequence, head), rows) << "step " << step << ", seed " << kSeed;
        least += rows * (16 + 20) * sizeof(float);
        // One block more, which a row that came and went leaves for the next.
        most += (blocks(std::min(rows, sinks)) + blocks(std::max(rows - sinks, 0)) + 1) * block_bytes +
                rows * sizeof(Position);
      }
    ASSERT_GE(run.cache().bytes(), least) << "step " << step << ", seed " << kSeed;
    ASSERT_LE(run.cache().bytes(), most) << "step " << step << ", seed " << kSeed;
  }
}

TEST_P(EvictingCache, KeepsSequencesApart) {
  CacheRun run(spec(3), kSeed);
  for (const std::vector<int>& tokens : std::vector<std::vector<int>>{
           {200, 0, 3}, {1, 90, 1}, {0, 1, 0}, {130, 1, 200}, {1, 1, 1}, {0, 0, 0}, {1, 0, 1}}) {
    if (tokens == std::vector<int>{0, 0, 0}) {
      EXPECT_TRUE(run.feed(tokens).empty());
      continue;
    }
    expect_definition(run, tokens, right(), "a ragged batch");
  }
}

TEST_P(EvictingCache, IsEmptyAfterClearAndStartsAgain) {
  CacheRun run(spec(2), kSeed);
  run.feed({200, 150});
  run.clear(0);
  EXPECT_EQ(run.cache().rows(0, 0), 0);
  EXPECT_EQ(run.cache().tiles(0, 1), 0);
  EXPECT_GT(run.cache().rows(1, 0), 0);
  for (const int tokens : {90, 1, 100}) expect_definition(run, {tokens, 1}, right(), "after clear");
}

TEST_P(EvictingCache, GivesTheSameBitsForEveryNumberOfThreads) {
  const KeepThreads keep;
  set_threads(1);
  CacheRun alone(spec(2), kSeed);
  std::vector<std::vector<float>> right;
  const std::vector<std::vector<int>> feeding{{200, 70}, {1, 1}, {90, 0}, {1, 1}};
  for (const std::vector<int>& tokens : feeding) right.push_back(alone.feed(tokens));
  for (const int count : {2, 3, 5}) {
    set_threads(count);
    CacheRun run(spec(2), kSeed);
    for (std::size_t i = 0; i < feeding.size(); ++i)
      EXPECT_TRUE(same_bits(run.feed(feeding[i]), right[i])) << count << " threads, chunk " << i << ", seed " << kSeed;
  }
}

TEST(FullCache, LetsEveryTokenSeeAllThatCameBefore) {
  for (const KeyForm form : {KeyForm::rotated, KeyForm::unrotated}) {
    CacheRun run(with_rope({.cache = "full", .sequences = 2, .key_form = form}), kSeed);
    int fed = 0;
    for (const int tokens : {200, 1, 0, 150, 1}) {
      expect_definition(run, {tokens, 2}, definition(0, 100000, false), "a chunk");
      fed += tokens;
      EXPECT_EQ(run.cache().rows(0, 1), fed);
    }
  }
}

}  // namespace
}  // namespace attnlab
