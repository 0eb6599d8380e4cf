// Budgets: the one grammar of numbers with units, and that caches keep within what was asked: tokens and shares of each
// sequence, bytes as they are allocated.
#include <attnlab/budget.h>

#include <numeric>

#include <attnlab/error.h>
#include <gtest/gtest.h>

#include "reference/plugins.h"
#include "reference/storage_spec.h"
#include "unit/feed_random_rows.h"

namespace attnlab {
namespace {

using namespace reference;
using Unit = Budget::Unit;

TEST(BudgetText, ReadsTokensSharesAndBytes) {
  const auto parsed = [](const char* text) {
    const auto budget = Budget::parse(text);
    return budget ? std::pair(budget->unit, budget->amount) : std::pair(Unit::tokens, -1.0);
  };
  EXPECT_EQ(parsed("64"), std::pair(Unit::tokens, 64.0));
  EXPECT_EQ(parsed("1"), std::pair(Unit::tokens, 1.0));
  EXPECT_EQ(parsed("0"), std::pair(Unit::tokens, 0.0));
  EXPECT_EQ(parsed("1e3"), std::pair(Unit::tokens, 1000.0));
  EXPECT_EQ(parsed("64.0"), std::pair(Unit::tokens, 64.0));
  EXPECT_EQ(parsed("0.25"), std::pair(Unit::share, 0.25));
  EXPECT_EQ(parsed("25%"), std::pair(Unit::share, 0.25));
  EXPECT_EQ(parsed("100 %"), std::pair(Unit::share, 1.0));
  EXPECT_EQ(parsed("2e-2"), std::pair(Unit::share, 0.02));
  EXPECT_EQ(parsed("512B"), std::pair(Unit::bytes, 512.0));
  EXPECT_EQ(parsed("1.5 MiB"), std::pair(Unit::bytes, 1.5 * 1024 * 1024));
  EXPECT_EQ(parsed("1GiB"), std::pair(Unit::bytes, 1024.0 * 1024 * 1024));
}

TEST(BudgetText, RefusesWhatCouldBeMistaken) {
  const auto fault = [](const char* text) {
    std::string why = "taken";
    (void)Budget::parse(text, &why);
    return why;
  };
  EXPECT_EQ(fault("1.0"), "could be one token or the whole: write 1 or 100%");
  EXPECT_EQ(fault("1e0"), "could be one token or the whole: write 1 or 100%");
  EXPECT_EQ(fault("1.5"), "is more than the whole, and no count of tokens");
  EXPECT_EQ(fault("0.0"), "is nothing");
  EXPECT_EQ(fault("0%"), "is no share between 0 and 100 %");
  EXPECT_EQ(fault("101%"), "is no share between 0 and 100 %");
  EXPECT_EQ(fault("12KB"), "has a unit that is not known");
  for (const char* text : {"", "-1", "x", ".5", "nan", "inf", "KiB"})
    EXPECT_EQ(fault(text), "is no number with or without a unit") << text;
}

TEST(BudgetText, ReadsWhatItWrites) {
  for (const char* text : {"0", "1", "64", "0.25", "25%", "100%", "2e-2", "512B", "80KiB", "1.5MiB", "3GiB"}) {
    const auto budget = Budget::parse(text);
    ASSERT_TRUE(budget) << text;
    const auto again = Budget::parse(budget->text());
    ASSERT_TRUE(again) << text << " as " << budget->text();
    EXPECT_EQ(again->unit, budget->unit) << text;
    EXPECT_EQ(again->amount, budget->amount) << text;
  }
}

constexpr int kLayers = 3;
constexpr int kHeads = 4;
const KvShape kShape{.kv_heads = 2, .key_dim = 16, .value_dim = 16};

struct Policy {
  const char* name;
  std::vector<const char*> options;  // that hold a part of the budget each
  OptionValues others = {};
  bool once = false;  // acts after the prompt only
};
const std::vector<Policy> kPolicies{{"tova", {"budget"}},
                                    {"knorm", {"budget"}},
                                    {"keydiff", {"budget"}},
                                    {"random", {"budget"}},
                                    {"h2o", {"heavy", "recent"}},
                                    {"window", {"window"}},
                                    {"sink", {"window"}, {{"sinks", std::int64_t{4}}}},
                                    {"snapkv", {"budget"}, {{"window", std::int64_t{4}}}, true},
                                    {"pyramidkv", {"budget"}, {{"window", std::int64_t{4}}}, true},
                                    {"adakv", {"budget"}, {{"window", std::int64_t{4}}}, true},
                                    {"expected_attention", {"budget"}, {}, true}};

// The caches of all layers of one arm, fed alike.
class Layers {
 public:
  Layers(const Policy& policy, const std::string& part, const StorageSpec& storage, std::vector<int> capacities)
      : capacities_(std::move(capacities)) {
    OptionValues options = policy.others;
    for (const char* option : policy.options) options[option] = part;
    const auto made = plugins().cache(policy.name, options, {});
    for (int layer = 0; layer < kLayers; ++layer) {
      LayerCacheContext context = cache_context(kShape, kHeads, static_cast<int>(capacities_.size()), KeyForm::rotated);
      context.layer = layer;
      context.layers = kLayers;
      context.capacities = capacities_;
      context.row_bytes = row_bytes(storage, kShape);
      context.list_bytes = [&](int rows) { return list_bytes(storage, kShape, rows); };
      context.make_rows = [&] { return make_rows(storage, kShape, static_cast<int>(capacities_.size()), 0); };
      caches_.push_back(made->create(context));
    }
  }

  // The next tokens of one sequence.
  void feed(int sequence, int first, int count, Phase phase) {
    Chunk chunk;
    for (int other = 0; other < static_cast<int>(capacities_.size()); ++other)
      chunk.add(other == sequence ? first : 0, other == sequence ? count : 0, phase);
    for (auto& cache : caches_) feed_random_rows(*cache, chunk.view(), kHeads, stream_);
  }
  [[nodiscard]] double bytes() const {
    return std::accumulate(caches_.begin(), caches_.end(), 0.0,
                           [](double sum, const auto& cache) { return sum + static_cast<double>(cache->bytes()); });
  }
  [[nodiscard]] double mean_rows(int sequence) const {
    double rows = 0;
    for (const auto& cache : caches_)
      for (int head = 0; head < kShape.kv_heads; ++head) rows += cache->rows(sequence, head);
    return rows / (kLayers * kShape.kv_heads);
  }

 private:
  std::vector<int> capacities_;
  Stream stream_{5};
  std::vector<std::unique_ptr<LayerCache>> caches_;
};

const std::vector<StorageSpec> kStorages{{},
                                         {.keys = "bf16", .values = "bf16"},
                                         {.keys = "int8", .values = "int8"},
                                         {.keys = "int4", .values = "int4"},
                                         {.keys = "int8", .values = "f32", .page = 16}};

// Prompts that end at a page, one row after it, below the budget and far above it.
TEST(ByteBudgets, HoldInEveryPolicyAndStorage) {
  for (const Policy& policy : kPolicies)
    for (const StorageSpec& storage : kStorages) {
      const double least = kLayers * kShape.kv_heads * list_bytes(storage, kShape, 66) + 2000;
      for (const double factor : {1.0, 1.6, 3.1})
        for (const int prompt : {20, 64, 65, 129, 300}) {
          const double budget = std::ceil(least * factor * 2);
          const auto parts = static_cast<double>(policy.options.size());
          Layers layers(policy, fmt::format("{}B", std::ceil(budget / parts)), storage, {400});
          layers.feed(0, 0, prompt, Phase::last_prefill);
          SCOPED_TRACE(fmt::format("{} {} {} B prompt {}", policy.name, storage.text(), budget, prompt));
          EXPECT_LE(layers.bytes(), budget + parts);
          for (int token = prompt; token < prompt + 70 && !policy.once; ++token) {
            layers.feed(0, token, 1, Phase::decode);
            ASSERT_LE(layers.bytes(), budget + parts) << "after token " << token;
          }
        }
    }
}

TEST(ByteBudgets, KeepAsManyRowsAsFit) {
  const Policy tova{"tova", {"budget"}};
  // 63 rows and the one of a step fill a page; with 64 kept, every step would need a second one.
  const double page = list_bytes(StorageSpec{}, kShape, 64);
  Layers layers(tova, fmt::format("{}B", kLayers * kShape.kv_heads * (page + 64 * 8)), {}, {400});
  layers.feed(0, 0, 200, Phase::last_prefill);
  EXPECT_EQ(layers.mean_rows(0), 63);
}

TEST(ByteBudgets, ThatHoldNoRowNameTheLeast) {
  for (const Policy& policy : kPolicies) try {
      Layers layers(policy, "64B", {}, {400});
      ADD_FAILURE() << policy.name << " took 64 bytes";
    } catch (const Error& error) {
      const std::string text = error.what();
      EXPECT_NE(text.find("is less than"), std::string::npos) << text;
      EXPECT_NE(text.find("give at least"), std::string::npos) << text;
    }
}

TEST(ShareBudgets, AreOfEachSequence) {
  for (const Policy& policy : kPolicies) {
    Layers layers(policy, "25%", {}, {100, 400, 24});
    const std::vector<int> prompts{100, 400, 24};
    for (int sequence = 0; sequence < 3; ++sequence) layers.feed(sequence, 0, prompts[sequence], Phase::last_prefill);
    const auto parts = static_cast<double>(policy.options.size());
    const double sinks = policy.others.contains("sinks") ? 4 : 0;
    for (int sequence = 0; sequence < 3; ++sequence)
      EXPECT_EQ(layers.mean_rows(sequence), std::floor(prompts[sequence] / 4.0) * parts + sinks)
          << policy.name << " sequence " << sequence;
  }
}

TEST(ShareBudgets, OfAnUnknownLengthAreRefused) {
  EXPECT_THROW(Layers({"tova", {"budget"}}, "25%", {}, {0}), Error);
}

}  // namespace
}  // namespace attnlab
