// What components say of themselves, where the host would otherwise guess from their options: rows that a policy
// leaves, and keys that an attention sees.
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "assembly/budget_choice.h"
#include "choices/layered_choice.h"
#include "reference/plugins.h"
#include "reference/storage_spec.h"

namespace attnlab::experiment {
namespace {

using reference::plugins;

constexpr int kEndless = std::numeric_limits<int>::max();

ComponentChoice choice(Kind kind, const std::string& text) {
  return parse_layered(kind, text, "test", lookup_in(plugins())).base;
}

CreateContext one_layer() {
  return {.hidden_dim = 64, .heads = 4, .kv_heads = 2, .head_dim = 16, .max_positions = 512};
}

// Of a layer with two kv heads, for sequences that may reach 100 and 40 tokens.
std::vector<int> limits(const ComponentChoice& cache, int length) {
  const KvShape shape{.kv_heads = 2, .key_dim = 16, .value_dim = 16};
  LayerCacheContext context = reference::cache_context(shape, 4, 2, KeyForm::rotated);
  context.capacities = {100, 40};
  context.row_bytes = row_bytes(StorageSpec{}, shape);
  context.list_bytes = [shape](int rows) { return list_bytes(StorageSpec{}, shape, rows); };
  const auto made = plugins().cache(cache.id, cache.options, one_layer())->create(context);
  return {made->row_limit(0, length), made->row_limit(1, length)};
}

struct Said {
  const char* cache;
  int rows, of_the_shorter;
};

class EveryPolicyOfTheBuild : public testing::TestWithParam<Said> {};

TEST_P(EveryPolicyOfTheBuild, SaysHowManyRowsItLeavesOfEachSequence) {
  const Said& said = GetParam();
  const ComponentChoice cache = choice(Kind::cache, said.cache);
  EXPECT_EQ(limits(cache, kEndless), (std::vector<int>{said.rows, said.of_the_shorter})) << said.cache;
  EXPECT_EQ(limits(cache, 3), (std::vector<int>{3, 3})) << said.cache << ": no more than there are";
}

INSTANTIATE_TEST_SUITE_P(
    , EveryPolicyOfTheBuild,
    testing::Values(Said{"full", kEndless, kEndless}, Said{"quest", kEndless, kEndless},
                    Said{"{window: {window: 12}}", 12, 12}, Said{"{window: {window: 50%}}", 50, 20},
                    Said{"{sink: {sinks: 2, window: 10}}", 12, 12}, Said{"{h2o: {heavy: 7, recent: 5}}", 12, 12},
                    Said{"{h2o: {heavy: 10%, recent: 20%}}", 30, 12}, Said{"{tova: {budget: 12}}", 12, 12},
                    Said{"{knorm: {budget: 12}}", 12, 12}, Said{"{keydiff: {budget: 12}}", 12, 12},
                    Said{"{random: {budget: 12}}", 12, 12}, Said{"{expected_attention: {budget: 12}}", 12, 12},
                    Said{"{snapkv: {budget: 12, window: 4}}", 12, 12}, Said{"{adakv: {budget: 12, window: 4}}", 12, 12},
                    Said{"{pyramidkv: {budget: 12, window: 4}}", 12, 12},
                    Said{"{merge: {heavy: 7, recent: 5}}", 12, 12}, Said{"{merge: {heavy: 10%, recent: 20%}}", 30, 12},
                    Said{"{duo: {streaming: [0, 1], sinks: 2, window: 10}}", 12, 12},
                    Said{"{duo: {streaming: [1], sinks: 2, window: 10}}", kEndless, kEndless},
                    Said{"duo", kEndless, kEndless}));

// A policy that is added later has to say something too.
TEST(Facts, EveryPolicyOfTheBuildIsAmongThem) {
  for (const std::string& id : plugins().ids(Kind::cache)) {
    const ComponentChoice cache = choice(Kind::cache, id);
    const bool evicts =
        plugins().traits(*plugins().find(Kind::cache, id), cache.options).provides.has(Feature::token_eviction);
    EXPECT_EQ(limits(cache, kEndless)[0] < kEndless, evicts) << id;
  }
}

TEST(Facts, AnAttentionSaysWhatItSees) {
  const auto seen = [](const std::string& text) {
    const ComponentChoice attention = choice(Kind::attention, text);
    return plugins().attention(attention.id, attention.options, one_layer())->visible_window();
  };
  for (const char* id : {"mha", "gqa", "mqa", "forgetting", "cross_layer", "value_residual"}) {
    EXPECT_EQ(seen(id), 0) << id;
    EXPECT_EQ(seen("{" + std::string(id) + ": {window: 9}}"), 9) << id;
  }
  const auto most = [](const std::string& text) {
    const ComponentChoice attention = choice(Kind::attention, text);
    return plugins().attention(attention.id, attention.options, one_layer())->visible_rows();
  };
  EXPECT_EQ(most("gqa"), 0);
  EXPECT_EQ(most("{gqa: {window: 9}}"), 9);
  EXPECT_EQ(most("{moba: {block: 16, top_k: 3}}"), 48);
  EXPECT_EQ(most("{moba: {block: 2000000000, top_k: 4096}}"), kEndless);
  EXPECT_EQ(most("{nsa: {block: 16, top_k: 3, window: 10}}"), 58);
  EXPECT_EQ(most("{nsa: {block: 2000000000, top_k: 4096, window: 10}}"), kEndless);
  EXPECT_EQ(seen("differential"), 0);
  EXPECT_EQ(seen("linear"), 0);
}

// Whatever its options are called: the sum of what its budget options say and of what it keeps beside them.
TEST(Facts, ABudgetIsFoundByItsTypeAndNotByItsName) {
  const auto made = [](const std::string& text, int rows) {
    return with_rows(plugins(), choice(Kind::cache, text), rows);
  };
  for (const char* id : {"full", "duo"}) EXPECT_FALSE(made(id, 24)) << id;
  for (const char* id : {"window", "sink", "h2o", "merge", "tova", "snapkv", "pyramidkv", "adakv", "knorm", "keydiff",
                         "random", "expected_attention"}) {
    const auto small = made(id, 24);
    ASSERT_TRUE(small) << id;
    EXPECT_EQ(limits(small->cache, kEndless), (std::vector<int>{24, 24})) << id;
    EXPECT_EQ(small->beside, std::string(id) == "sink" ? 4 : 0) << id;
  }
  EXPECT_EQ(made("h2o", 25)->cache.options.at("heavy"), OptionValue(std::string("12")));
  EXPECT_EQ(made("h2o", 25)->cache.options.at("recent"), OptionValue(std::string("13")));
  Budget half;
  half.amount = 0.5;
  half.unit = Budget::Unit::share;
  EXPECT_EQ(limits(with_budget(plugins(), choice(Kind::cache, "h2o"), half), kEndless), (std::vector<int>{50, 20}));
}

}  // namespace
}  // namespace attnlab::experiment
