// Every scoring policy against its definition (policy_simulation.h): what is answered and which positions each kv head
// keeps, after a prompt fed in one go or in pieces, after every decode step, and after a second prompt.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <set>

#include <attnlab/error.h>

#include <nlohmann/json.hpp>

#include "reference/attend_reference.h"
#include "reference/plugins.h"
#include "reference/policy_simulation.h"
#include "reference/rope_reference.h"
#include "reference/storage_spec.h"
#include "steps/given_attention.h"
#include "unit/core/policy_samples.h"

namespace attnlab {
namespace {

using namespace reference;

const Rope kRope{.head_dim = 16};

struct RunSpec {
  std::string cache;
  OptionValues options;
  std::string position = "none";
  KeyForm key_form = KeyForm::rotated;
  int sequences = 1;
  int layer = 0;
  int layers = 1;
  int caches = 0;  // of these layers; 0: each has its own
  int place = 0;   // of this one among them
  int capacity = kTokens;
  std::uint64_t seed = 1;
};

// The policy in front of the fast core.
class PolicyRun {
 public:
  explicit PolicyRun(const RunSpec& spec, const PolicyStreams& like = PolicyStreams(0, 0))
      : scheme_(plugins().position(spec.position, spec.position == "rope" ? kRope.options() : OptionValues{},
                                   {.heads = like.heads, .head_dim = like.key_dim, .max_positions = 4096})) {
    const KvShape shape{.kv_heads = like.kv_heads, .key_dim = like.key_dim, .value_dim = like.value_dim};
    LayerCacheContext context = cache_context(shape, like.heads, spec.sequences, spec.key_form);
    context.layer = spec.layer;
    context.layers = spec.layers;
    context.caches = spec.caches;
    context.cache = spec.place;
    context.capacities.assign(spec.sequences, spec.capacity);
    context.rotation = scheme_->rotation();
    context.row_bytes = 4.0 * (shape.key_dim + shape.value_dim);
    context.list_bytes = [shape](int rows) { return list_bytes(StorageSpec{}, shape, rows); };
    context.seed = spec.seed;
    cache_ = plugins().cache(spec.cache, spec.options, {})->create(context);
  }

  // Tokens first .. last of every sequence's streams; the prompt goes on to `prompt_last`. [tokens, heads, value_dim]
  std::vector<float> feed(const std::vector<const PolicyStreams*>& sequences, int first, int last, Phase phase,
                          int prompt_last) {
    Chunk chunk;
    std::vector<float> queries, keys, values;
    for (const PolicyStreams* of : sequences) {
      chunk.add(first, of == nullptr ? 0 : last - first + 1, phase);
      chunk.lengths.back() = prompt_last + 1;
      if (of == nullptr) continue;
      const auto take = [&](const std::vector<float>& from, int width, std::vector<float>& to) {
        const auto begin = from.begin();
        to.insert(to.end(), begin + std::ptrdiff_t{first} * width, begin + std::ptrdiff_t{last + 1} * width);
      };
      take(of->queries, of->heads * of->key_dim, queries);
      take(of->keys, of->kv_heads * of->key_dim, keys);
      take(of->values, of->kv_heads * of->value_dim, values);
    }
    const PolicyStreams& any = **std::ranges::find_if(sequences, [](auto* of) { return of != nullptr; });
    const ChunkView view = chunk.view();
    std::vector<float> out(static_cast<std::size_t>(view.tokens()) * any.heads * any.value_dim);
    GivenAttention rows(cache_->shape(), any.heads);
    rows.give(rows_view(queries, any.heads, any.key_dim), rows_view(keys, any.kv_heads, any.key_dim),
              rows_view(values, any.kv_heads, any.value_dim));
    run_layer(steps_, rows, {.chunk = view, .cache = *cache_, .position = *scheme_}, {},
              matrix_view(out, std::int64_t{any.heads} * any.value_dim));
    return out;
  }
  std::vector<float> feed(const PolicyStreams& streams, int first, int last, Phase phase, int prompt_last) {
    return feed({&streams}, first, last, phase, prompt_last);
  }

  [[nodiscard]] std::vector<int> kept(int sequence, int kv_head) const {
    std::vector<int> all;
    for_each_tile(*cache_, sequence, kv_head, [&](const KvTile& tile) {
      all.insert(all.end(), tile.positions.begin(), tile.positions.end());
      return true;
    });
    EXPECT_EQ(static_cast<int>(all.size()), cache_->rows(sequence, kv_head));
    std::ranges::sort(all);
    return all;
  }
  [[nodiscard]] LayerCache& cache() { return *cache_; }

 private:
  std::unique_ptr<PositionScheme> scheme_;
  std::unique_ptr<LayerCache> cache_;
  Scratch scratch_;
  DirectSteps steps_{scratch_};
};

void expect_kept(const PolicyRun& run, const PolicySimulation& right, int last) {
  for (int g = 0; g < right.streams.kv_heads; ++g)
    EXPECT_EQ(run.kept(0, g), right.cached[g]) << "kv head " << g << " after position " << last;
}

// The operations: a prompt, steps, another prompt, steps.
const std::vector<Operation>& operations() {
  static const std::vector<Operation> all = [] {
    std::vector<Operation> list{{0, 99, true}};
    for (int i = 100; i < 112; ++i) list.push_back({i, i, false});
    list.push_back({112, 139, true});
    for (int i = 140; i < kTokens; ++i) list.push_back({i, i, false});
    return list;
  }();
  return all;
}

class EveryPolicy : public testing::TestWithParam<Policy> {
 protected:
  // Prompts are fed in pieces of `piece` tokens.
  void expect_definition(std::uint64_t seed, const std::string& position, KeyForm form, int piece) const {
    SCOPED_TRACE(testing::Message() << position << ", pieces of " << piece << ", seed " << seed);
    const Policy& policy = GetParam();
    const PolicyStreams streams(seed, kTokens);
    PolicySimulation::Rotate rotate;
    if (position == "rope") rotate = [rule = kRope.rule()](Vector& x, int at) { rule(x, at, RotateSide::query, 0); };
    PolicySimulation right(streams, policy.evict, rotate, policy.choose);
    PolicyRun run({.cache = policy.cache, .options = policy.options, .position = position, .key_form = form}, streams);
    for (const Operation& now : operations()) {
      std::vector<float> out;
      for (int first = now.first; first <= now.last; first += piece) {
        const int last = std::min(first + piece - 1, now.last);
        const Phase phase = !now.is_prompt ? Phase::decode : last == now.last ? Phase::last_prefill : Phase::prefill;
        const std::vector<float> part = run.feed(streams, first, last, phase, now.last);
        out.insert(out.end(), part.begin(), part.end());
      }
      const Vector expected = right.run(now);
      EXPECT_LT(normalised_error(out, expected), attend_tolerance(streams.key_dim, kTokens, right.largest_score))
          << "positions " << now.first << " to " << now.last;
      expect_kept(run, right, now.last);
      if (HasFailure()) return;  // what follows differs too
    }
  }
};

// Those whose definition says which rows stay: not random, which draws them.
class EveryDefinedPolicy : public EveryPolicy {};

// Those of them whose scores do not depend on how keys are stored: the mass that rows are given, or a norm, which a
// rotation leaves alone. keydiff and quest measure the stored key itself.
class EveryPolicyBlindToTheStore : public EveryPolicy {};

std::vector<Policy> policies_without(const std::set<std::string>& caches) {
  std::vector<Policy> policies = every_policy();
  std::erase_if(policies, [&](const Policy& policy) { return caches.contains(policy.cache); });
  return policies;
}
std::string name_of(const testing::TestParamInfo<Policy>& info) {
  return info.param.name;
}

INSTANTIATE_TEST_SUITE_P(, EveryPolicy, testing::ValuesIn(every_policy()), name_of);
INSTANTIATE_TEST_SUITE_P(, EveryDefinedPolicy, testing::ValuesIn(policies_without({"random"})), name_of);
INSTANTIATE_TEST_SUITE_P(, EveryPolicyBlindToTheStore,
                         testing::ValuesIn(policies_without({"random", "keydiff", "quest"})), name_of);

TEST_P(EveryDefinedPolicy, AnswersAndKeepsWhatItsDefinitionSays) {
  for (const std::uint64_t seed : {11, 12, 13}) expect_definition(seed, "none", KeyForm::rotated, kTokens);
}

TEST_P(EveryDefinedPolicy, DoesTheSameInPiecesAndWithRotation) {
  for (const int piece : {1, 37, 64}) expect_definition(21 + piece, "rope", KeyForm::rotated, piece);
}

TEST_P(EveryPolicyBlindToTheStore, ScoresKeysThatAreStoredWithoutRotationAsTheyAreRead) {
  expect_definition(31, "rope", KeyForm::unrotated, 50);
}

// Queries of zeros see all keys alike, and all keys are the same: every score is a tie, also across kv heads.
TEST_P(EveryDefinedPolicy, KeepsOfEqualScoresTheHigherPosition) {
  PolicyStreams streams(36, kTokens);
  std::ranges::fill(streams.queries, 0.0F);
  std::ranges::fill(streams.keys, 0.5F);
  if (GetParam().cache == "expected_attention") std::ranges::fill(streams.values, 0.5F);
  PolicySimulation right(streams, GetParam().evict, {}, GetParam().choose);
  PolicyRun run({.cache = GetParam().cache, .options = GetParam().options}, streams);
  for (const Operation& now : operations()) {
    const Phase phase = now.is_prompt ? Phase::last_prefill : Phase::decode;
    const std::vector<float> out = run.feed(streams, now.first, now.last, phase, now.last);
    ASSERT_LT(normalised_error(out, right.run(now)), attend_tolerance(streams.key_dim, kTokens, 0)) << now.first;
    expect_kept(run, right, now.last);
    if (HasFailure()) return;
  }
}

TEST_P(EveryPolicy, TreatsASequenceAsIfItWereAlone) {
  const PolicyStreams streams(41, kTokens);
  const PolicyStreams other(42, kTokens);
  const RunSpec spec{.cache = GetParam().cache, .options = GetParam().options, .position = "rope"};
  RunSpec both_spec = spec;
  both_spec.sequences = 2;
  PolicyRun alone(spec);
  PolicyRun both(both_spec);
  for (const Operation& now : operations()) {
    const Phase phase = now.is_prompt ? Phase::last_prefill : Phase::decode;
    const std::vector<float> right = alone.feed(streams, now.first, now.last, phase, now.last);
    const std::vector<float> out = both.feed({&other, &streams}, now.first, now.last, phase, now.last);
    ASSERT_TRUE(same_bits(std::span(out).subspan(right.size()), right)) << "from position " << now.first;
    for (int g = 0; g < streams.kv_heads; ++g) ASSERT_EQ(both.kept(1, g), alone.kept(0, g)) << now.last;
  }
}

TEST_P(EveryPolicy, StartsAgainAfterClear) {
  const PolicyStreams streams(51, kTokens);
  PolicyRun run({.cache = GetParam().cache, .options = GetParam().options, .position = "rope"});
  std::vector<std::vector<float>> first_time;
  for (const bool again : {false, true}) {
    std::size_t index = 0;
    for (const Operation& now : operations()) {
      const Phase phase = now.is_prompt ? Phase::last_prefill : Phase::decode;
      const std::vector<float> out = run.feed(streams, now.first, now.last, phase, now.last);
      if (!again) first_time.push_back(out);
      ASSERT_TRUE(same_bits(out, first_time[index++])) << "from position " << now.first;
    }
    run.cache().clear(0);
    ASSERT_EQ(run.cache().rows(0, 1), 0);
    ASSERT_EQ(run.cache().tiles(0, 1), 0);
  }
}

// Saved in a prompt of two pieces, after it and in decode; restored into a cache that held something else, as another
// sequence.
TEST_P(EveryPolicy, GoesOnFromASavedState) {
  const PolicyStreams streams(54, kTokens);
  const PolicyStreams other(55, kTokens);
  struct Part {
    int first, last, prompt_last;
    Phase phase;
  };
  std::vector<Part> parts{{0, 60, 99, Phase::prefill}};
  for (const Operation& now : operations())
    parts.push_back({std::max(now.first, 61), now.last, now.last, now.is_prompt ? Phase::last_prefill : Phase::decode});
  const RunSpec spec{.cache = GetParam().cache, .options = GetParam().options, .position = "rope"};
  RunSpec both_spec = spec;
  both_spec.sequences = 2;
  for (const std::size_t done : {1, 2, 6, 14, 15}) {
    PolicyRun run(spec);
    PolicyRun both(both_spec);
    for (std::size_t i = 0; i < done + 2; ++i)
      both.feed({&streams, &other}, parts[i].first, parts[i].last, parts[i].phase, parts[i].prompt_last);
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const Part& now = parts[i];
      if (i == done) {
        StateWriter saved;
        run.cache().save(0, saved);
        StateReader state(saved.bytes());
        both.cache().restore(1, state);
        EXPECT_TRUE(state.is_at_end());
      }
      const std::vector<float> right = run.feed(streams, now.first, now.last, now.phase, now.prompt_last);
      if (i < done) continue;
      const std::vector<float> out = both.feed({nullptr, &streams}, now.first, now.last, now.phase, now.prompt_last);
      ASSERT_TRUE(same_bits(out, right)) << "saved after part " << done << ", from position " << now.first;
      for (int g = 0; g < streams.kv_heads; ++g) ASSERT_EQ(both.kept(1, g), run.kept(0, g)) << now.last;
    }
  }
}

OptionValues random_options(int budget, std::int64_t seed, Protected protect = {}) {
  OptionValues options = with(budget_of(budget), protect);
  options["seed"] = seed;
  return options;
}

// How often each of 40 positions stays among 10 after a prompt and 8 steps, over many seeds.
TEST(RandomPolicy, KeepsEveryUnprotectedRowAboutEquallyOften) {
  constexpr int kSeeds = 400;
  const PolicyStreams streams(61, 40);
  std::map<int, int> times;
  for (int seed = 1; seed <= kSeeds; ++seed) {
    PolicyRun run({.cache = "random", .options = random_options(10, seed, {2, 3})});
    run.feed(streams, 0, 31, Phase::last_prefill, 31);
    for (int i = 32; i < 40; ++i) {
      run.feed(streams, i, i, Phase::decode, i);
      ASSERT_EQ(run.cache().rows(0, 0), 10);
    }
    for (int g = 0; g < 2; ++g)
      for (const int j : run.kept(0, g)) ++times[j];
  }
  for (const int j : {0, 1, 37, 38, 39}) EXPECT_EQ(times[j], 2 * kSeeds) << j;
  // Each of the 5 places: a row of the prompt passed the first check and 8 more, in each of which one of 6 goes (once a
  // row is out of the newest 3).
  const auto expect_share = [&](int first, int last, double share) {
    const double mean = share * 2 * kSeeds;
    double sum = 0;
    for (int j = first; j <= last; ++j) {
      EXPECT_NEAR(times[j], mean, 5 * std::sqrt(mean)) << j;
      sum += times[j] - mean;
    }
    EXPECT_NEAR(sum, 0, 5 * std::sqrt(mean * (last - first + 1))) << first << " to " << last;
  };
  expect_share(2, 28, 5.0 / 27 * std::pow(5.0 / 6, 8));
  expect_share(36, 36, 5.0 / 6);
}

TEST(RandomPolicy, DrawsDifferWithSeedLayerAndHeadAndNotWithPieces) {
  const PolicyStreams streams(62, 60);
  const auto kept = [&](const RunSpec& spec, int piece) {
    PolicyRun run(spec);
    for (int first = 0; first < 60; first += piece) {
      const int last = std::min(first + piece, 60) - 1;
      run.feed(streams, first, last, last == 59 ? Phase::last_prefill : Phase::prefill, 59);
    }
    return std::pair{run.kept(0, 0), run.kept(0, 1)};
  };
  const RunSpec spec{.cache = "random", .options = random_options(10, 5)};
  RunSpec other_seed = spec;
  other_seed.options = random_options(10, 6);
  RunSpec other_layer = spec;
  other_layer.layer = 1;
  EXPECT_EQ(kept(spec, 60), kept(spec, 7));
  EXPECT_NE(kept(spec, 60), kept(other_seed, 60));
  EXPECT_NE(kept(spec, 60), kept(other_layer, 60));
  EXPECT_NE(kept(spec, 60).first, kept(spec, 60).second);
  // Seed 0 is the experiment's.
  const RunSpec of_experiment{.cache = "random", .options = random_options(10, 0), .seed = 5};
  EXPECT_EQ(kept(spec, 60), kept(of_experiment, 60));
}

// The table's rule has no prompt in it: prompts here are longer than every budget.
TEST(PyramidKv, KeepsInEveryLayerWhatTheTableSays) {
  std::ifstream file(ATTNLAB_TEST_DATA_DIR "/pyramidkv-budgets.json");
  const nlohmann::json table = nlohmann::json::parse(file).at("table");
  const PolicyStreams streams(71, 500);
  int rows = 0;
  for (const nlohmann::json& entry : table) {
    OptionValues options = window_of(entry.at("budget"), {entry.at("window"), 3});
    options["beta"] = entry.at("beta").get<std::int64_t>();
    const int layers = entry.at("layers");
    for (int layer = 0; layer < layers; ++layer) {
      PolicyRun run({.cache = "pyramidkv", .options = options, .layer = layer, .layers = layers});
      run.feed(streams, 0, 499, Phase::last_prefill, 499);
      EXPECT_EQ(run.cache().rows(0, 0), entry.at("budgets").at(layer)) << entry.dump() << " layer " << layer;
      ++rows;
    }
  }
  EXPECT_EQ(rows, 76);
}

// Where layers share rows, or keep none, the line is over the caches that there are.
TEST(PyramidKv, KeepsTheMeanBudgetOverTheCachesThatThereAre) {
  const PolicyStreams streams(71, 500);
  struct Shared {
    int layers;
    std::vector<int> owners;
  };
  for (const Shared& shared : {Shared{8, {0, 3, 6}}, Shared{12, {0, 2, 4, 6, 8, 10}}, Shared{7, {1, 2, 6}},
                               Shared{5, {0}}, Shared{3, {0, 1, 2}}}) {
    const auto caches = static_cast<int>(shared.owners.size());
    int rows = 0, before = 500;
    for (int cache = 0; cache < caches; ++cache) {
      RunSpec spec{.cache = "pyramidkv", .options = window_of(64, {8, 3}), .layer = shared.owners[cache]};
      std::tie(spec.layers, spec.caches, spec.place) = std::tuple(shared.layers, caches, cache);
      PolicyRun run(spec);
      run.feed(streams, 0, 499, Phase::last_prefill, 499);
      EXPECT_LE(run.cache().rows(0, 0), before) << "budgets fall with depth";
      rows += before = run.cache().rows(0, 0);
    }
    EXPECT_EQ(rows, caches * 64) << shared.layers << " layers, " << caches << " caches";
  }
}

TEST(PyramidKv, IsSnapKvWithTheLayersBudget) {
  const PolicyStreams streams(72, kTokens);
  OptionValues options = with(window_of(24, {6, 5}), {3, 0});
  options["beta"] = std::int64_t{4};
  PolicyRun pyramid({.cache = "pyramidkv", .options = options, .layer = 2, .layers = 3});  // 6 + 18 / 4, half to even
  PolicySimulation right(streams, snapkv(10, {6, 5}, {3, 0}));
  pyramid.feed(streams, 0, 99, Phase::last_prefill, 99);
  right.run({0, 99, true});
  expect_kept(pyramid, right, 99);
}

// All scores of both heads are the same but for one row of each that no query attends to. So the last place falls on a
// tie of the heads.
TEST(AdaKv, GivesATieOfHeadsToTheLowerOne) {
  PolicyStreams streams(73, 100);
  std::ranges::fill(streams.queries, 1.0F);
  std::ranges::fill(streams.keys, 0.0F);
  std::fill_n(streams.keys.begin() + (90 * 2 + 0) * 16, 16, -1000.0F);
  std::fill_n(streams.keys.begin() + (10 * 2 + 1) * 16, 16, -1000.0F);
  OptionValues options = window_of(24, {6, 1});
  options["safeguard"] = 0.0;
  PolicyRun run({.cache = "adakv", .options = options}, streams);
  PolicySimulation right(streams, adakv(24, {6, 1}, 0));
  run.feed(streams, 0, 99, Phase::last_prefill, 99);
  right.run({0, 99, true});
  expect_kept(run, right, 99);
  EXPECT_EQ(run.kept(0, 0).front(), 75);
  EXPECT_EQ(run.kept(0, 1).front(), 76);
}

TEST(Quest, ReadsEverythingInItsDenseLayers) {
  const PolicyStreams streams(81, kTokens);
  OptionValues options{{"page", std::int64_t{8}}, {"budget", std::string("16")}, {"dense_layers", std::int64_t{2}}};
  for (const int layer : {1, 2}) {
    PolicyRun quest({.cache = "quest", .options = options, .layer = layer, .layers = 4});
    PolicyRun full({.cache = "full"});
    for (const Operation& now : operations()) {
      const Phase phase = now.is_prompt ? Phase::last_prefill : Phase::decode;
      const bool same = same_bits(quest.feed(streams, now.first, now.last, phase, now.last),
                                  full.feed(streams, now.first, now.last, phase, now.last));
      EXPECT_EQ(same, layer < 2 || now.is_prompt) << "layer " << layer << " from position " << now.first;
    }
    // Per page of 8 rows the smallest and the largest key, and its place in the ranking: a score and a number.
    const std::size_t bounds = layer < 2 ? 0 : 2 * 19 * (2 * 16 * sizeof(float) + 2 * sizeof(double));
    EXPECT_EQ(quest.cache().bytes(), full.cache().bytes() + bounds);
  }
}

std::string problems_of(const std::string& cache, const OptionValues& options) {
  Problems problems;
  plugins().check(plugins().get(Kind::cache, cache, ""), options, problems);
  std::string text;
  for (const Problems::Entry& entry : problems.entries()) text += entry.option + ": " + entry.what + "\n";
  return text;
}

TEST(Budgets, ThatCannotHoldWhatIsProtectedAreRefusedWhereTheyAreInTokens) {
  const std::string tova = "protect.first: 5 first and 6 newest rows are protected, but only 10 stay\n";
  for (const char* cache : {"tova", "knorm", "keydiff", "random", "expected_attention"}) {
    EXPECT_EQ(problems_of(cache, with(budget_of(10), {5, 6})), tova) << cache;
    EXPECT_EQ(problems_of(cache, with(budget_of(11), {5, 6})), "") << cache;
  }
  EXPECT_EQ(problems_of("h2o", with({{"heavy", std::string("3")}, {"recent", std::string("8")}}, {4, 2})),
            "protect.first: 4 first and 8 newest rows are protected, but only 11 stay\n");
  EXPECT_EQ(problems_of("expected_attention", budget_of(3)),
            "protect.first: 4 first and 0 newest rows are protected, but only 3 stay\n");
  for (const char* cache : {"snapkv", "adakv", "pyramidkv"}) {
    EXPECT_EQ(problems_of(cache, window_of(8, {8, 3})), "budget: 8 must be more than the window of 8\n") << cache;
    EXPECT_EQ(problems_of(cache, window_of(9, {8, 4})), "kernel: 4 has no middle; it must be odd\n") << cache;
    EXPECT_EQ(problems_of(cache, with(window_of(9, {8, 3}), {2, 0})),
              "protect.first: 2 first and 8 newest rows are protected, but only 9 stay\n")
        << cache;
  }
  for (const std::int64_t page : {1, 7, 24, 64, 192}) EXPECT_EQ(problems_of("quest", {{"page", page}}), "");
}

// Known only where the cache is made: shares of the context, bytes, the layers of a pyramid.
TEST(Budgets, ThatTurnOutTooSmallAreErrors) {
  const auto refusal = [](const RunSpec& spec) -> std::string {
    try {
      PolicyRun run(spec);
    } catch (const Error& error) {
      const std::string name = "cache \"" + spec.cache + "\": ";
      const std::string text = error.what();
      EXPECT_TRUE(text.starts_with(name)) << text;
      return text.substr(std::min(name.size(), text.size()));
    }
    return "none";
  };
  const std::string share = "0.1";  // of 150
  for (const char* cache : {"tova", "knorm", "keydiff", "random", "expected_attention"})
    EXPECT_EQ(refusal({.cache = cache, .options = with({{"budget", share}}, {10, 6})}),
              "10 first and 6 newest rows are protected, but only 15 stay; raise the budget or protect fewer rows")
        << cache;
  EXPECT_EQ(refusal({.cache = "h2o", .options = with({{"heavy", share}, {"recent", share}}, {20, 6})}),
            "20 first and 15 newest rows are protected, but only 30 stay; raise the budget or protect fewer rows");
  for (const char* cache : {"snapkv", "adakv", "pyramidkv"})
    EXPECT_EQ(refusal({.cache = cache, .options = {{"budget", share}, {"window", std::int64_t{15}}}}),
              "the budget 0.1 is 15 rows of every kv head, not more than the window of 15; raise the budget or make "
              "the window smaller")
        << cache;
  RunSpec pyramid{.cache = "pyramidkv", .options = with(window_of(64, {8, 3}), {4, 0}), .layer = 3, .layers = 4};
  EXPECT_EQ(refusal(pyramid),
            "4 first and 8 newest rows are protected, but only 11 stay; raise the budget or protect fewer rows");
  pyramid.layer = 2;
  EXPECT_EQ(refusal(pyramid), "none");
}

}  // namespace
}  // namespace attnlab
