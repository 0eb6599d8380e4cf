// What counting steps add up, against counts by hand from the shapes of each variant. Batches are ragged, with a
// prefill, a decode step and a sequence that gets nothing.
#include "steps/counting_steps.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "reference/variant_reference.h"

namespace attnlab {
namespace {

using namespace reference;

struct Shape {
  std::vector<int> held;    // tokens fed before, as one prompt
  std::vector<int> tokens;  // tokens that are counted
};
const Scheme kNoScheme{.name = "none"};
constexpr double kRowBytes = 3;  // so that bytes are told from rows
const std::vector<Shape> kShapes{{{0}, {9}}, {{70}, {1}}, {{5, 0, 130, 64}, {1, 70, 0, 3}}};

// Pairs of one head: query i of n new ones after `held` rows sees held + i + 1 rows.
double causal_pairs(const Shape& shape) {
  double pairs = 0;
  for (std::size_t s = 0; s < shape.tokens.size(); ++s)
    for (int i = 1; i <= shape.tokens[s]; ++i) pairs += shape.held[s] + i;
  return pairs;
}
// Rows that any query of the call sees.
double seen_rows(const Shape& shape) {
  double rows = 0;
  for (std::size_t s = 0; s < shape.tokens.size(); ++s)
    if (shape.tokens[s] > 0) rows += shape.held[s] + shape.tokens[s];
  return rows;
}
int tokens(const Shape& shape) {
  return std::accumulate(shape.tokens.begin(), shape.tokens.end(), 0);
}

// A panel of a matrix holds its outputs in whole vectors.
double matrix_bytes(double out_dim, double in_dim) {
  return sizeof(float) * 16 * std::ceil(out_dim / 16) * in_dim;
}

StepCounts count(VariantSpec spec, const Shape& shape) {
  spec.sequences = static_cast<int>(shape.held.size());
  Variant variant(spec, kNoScheme);
  Stream stream(3);
  const int before = std::accumulate(shape.held.begin(), shape.held.end(), 0);
  if (before > 0) (void)variant.feed(shape.held, stream.normals(std::int64_t{before} * kHidden));
  Scratch scratch;
  CountingSteps steps(scratch, [](int) { return kRowBytes; });
  Variant direct(spec, kNoScheme);
  Stream same(3);
  if (before > 0) (void)direct.feed(shape.held, same.normals(std::int64_t{before} * kHidden));
  const std::vector<float> hidden = stream.normals(std::int64_t{tokens(shape)} * kHidden);
  EXPECT_TRUE(same_bits(variant.feed(steps, shape.tokens, hidden), direct.feed(shape.tokens, hidden)))
      << "counting changed a result";
  return steps.counts();
}

VariantSpec spec_of(const std::string& attention, int kv_heads, OptionValues options = {}) {
  VariantSpec spec;
  spec.attention = attention;
  spec.context = {.layer = 2,
                  .layers = 4,
                  .hidden_dim = kHidden,
                  .heads = 4,
                  .kv_heads = kv_heads,
                  .head_dim = 16,
                  .max_positions = 512,
                  .rms_norm_eps = 1e-6F};
  spec.options = std::move(options);
  return spec;
}

class SoftmaxCounts : public testing::TestWithParam<std::pair<const char*, int>> {};

TEST_P(SoftmaxCounts, AreThoseOfTheShapes) {
  const auto [name, kv_heads] = GetParam();
  const CreateContext context = spec_of(name, kv_heads).context;
  const double d = context.head_dim;
  for (const Shape& shape : kShapes) {
    const StepCounts counts = count(spec_of(name, kv_heads), shape);
    EXPECT_EQ(counts.weight_multiply_adds, tokens(shape) * (2 * context.heads + 2 * kv_heads) * d * kHidden);
    EXPECT_EQ(counts.weight_bytes, matrix_bytes(context.heads * d, kHidden) + 2 * matrix_bytes(kv_heads * d, kHidden) +
                                       matrix_bytes(kHidden, context.heads * d));
    EXPECT_EQ(counts.queries, tokens(shape) * context.heads);
    EXPECT_EQ(counts.pairs, causal_pairs(shape) * context.heads);
    EXPECT_EQ(counts.attention_multiply_adds, counts.pairs * 2 * d);
    EXPECT_EQ(counts.rows_read, seen_rows(shape) * kv_heads);
    EXPECT_EQ(counts.cached_bytes, counts.rows_read * kRowBytes);
    EXPECT_EQ(counts.state_bytes, 0);
  }
}
INSTANTIATE_TEST_SUITE_P(Heads, SoftmaxCounts,
                         testing::Values(std::pair("mha", 4), std::pair("gqa", 2), std::pair("mqa", 1)),
                         [](const auto& info) { return info.param.first; });

TEST(WindowCounts, AreOfTheRowsThatTheWindowShows) {
  const Shape shape{{70}, {3}};
  const StepCounts counts = count(spec_of("gqa", 2, {{"window", std::int64_t{16}}}), shape);
  EXPECT_EQ(counts.pairs, 3 * 16 * spec_of("gqa", 2).context.heads);
  EXPECT_EQ(counts.rows_read, 18 * 2);
}

// Every score becomes a sum over all heads, before the softmax and after it, whatever the kv heads are.
TEST(TalkingHeadsCounts, AreOfTheProductsAndOfTheMixtures) {
  for (const int kv_heads : {1, 2, 4})
    for (const int mixtures : {0, 1, 2})
      for (const Shape& shape : kShapes) {
        const VariantSpec spec = spec_of("talking_heads", kv_heads, {{"pre", mixtures > 0}, {"post", mixtures > 1}});
        const double heads = spec.context.heads, d = spec.context.head_dim;
        const StepCounts counts = count(spec, shape);
        EXPECT_EQ(counts.pairs, causal_pairs(shape) * heads);
        EXPECT_EQ(counts.attention_multiply_adds, causal_pairs(shape) * heads * (2 * d + heads * mixtures));
        EXPECT_EQ(counts.state_bytes, 0);
      }
}

// Whichever plugin has one: `group` heads that share a kv head, or all of them.
TEST(RowWeightingCounts, AreWhatTheWeightingSaysOfItsScores) {
  class Weighed final : public RowWeighting {
   public:
    explicit Weighed(bool all) : all_(all) {}
    bool takes_all_heads() const noexcept override { return all_; }
    void weigh(QueryScores& query) const noexcept override {
      for (std::int64_t head = 0; head < query.scores.extent(0); ++head)
        for (std::int64_t member = 0; member < query.scores.extent(1); ++member)
          std::ranges::fill(query.scores[head].row(member), 0.0F);
    }
    double multiply_adds(int heads) const noexcept override { return 10 + heads; }

   private:
    bool all_;
  };
  const KvShape rows{.kv_heads = 2, .key_dim = 8, .value_dim = 4};
  for (const bool all : {false, true}) {
    class OneAttend final : public AttentionVariant {
     public:
      OneAttend(const KvShape& shape, const RowWeighting& weights) : shape_(shape), weights_(weights) {}
      std::vector<ParameterSpec> parameters() const override { return {}; }
      void bind(const ParameterSet&) override {}
      KvShape kv_shape() const override { return shape_; }
      void forward(const LayerContext& layer, TensorView<const float, 2>, TensorView<float, 2> out) override {
        const std::int64_t tokens = layer.chunk.tokens();
        const auto zeros = [&](std::int64_t heads, int width) {
          auto made = layer.steps.rows(tokens, heads, width);
          std::fill_n(made.data(), made.elements(), 0.0F);
          return made;
        };
        layer.steps.append(zeros(shape_.kv_heads, shape_.key_dim), zeros(shape_.kv_heads, shape_.value_dim));
        layer.steps.attend({.queries = zeros(6, shape_.key_dim), .scale = 1, .mask = mask_, .row_weighting = &weights_},
                           {out.data(), {tokens, 6, shape_.value_dim}});
      }

     private:
      KvShape shape_;
      const RowWeighting& weights_;
      CausalMask mask_;
    };
    const Weighed weights(all);
    OneAttend attention(rows, weights);
    const auto cache = plugins().cache("full", {}, {})->create(cache_context(rows, 6, 1, KeyForm::rotated));
    const auto position = plugins().position("none", {}, {});
    Scratch scratch;
    CountingSteps steps(scratch, [](int) { return kRowBytes; });
    Chunk chunk;
    chunk.add(0, 5, Phase::last_prefill);
    const ChunkView view = chunk.view();
    std::vector<float> out(5 * 6 * 4);
    run_layer(steps, attention, {.chunk = view, .cache = *cache, .position = *position}, {}, {out.data(), {5, 24}});
    EXPECT_EQ(steps.counts().pairs, 15 * 6);
    EXPECT_EQ(steps.counts().attention_multiply_adds, 15 * 6 * (8 + 4 + 10 + (all ? 6 : 3)));
  }
}

// What reports and predictions say of a model that was made without weights.
TEST(CountingSteps, CountTheSameWithoutTheProducts) {
  for (const char* name : {"gqa", "mla", "differential", "linear", "moba", "nsa", "talking_heads"}) {
    const VariantSpec spec = spec_of(name, 2);
    std::vector<StepCounts> counts;
    for (const CountedProducts products : {CountedProducts::computed, CountedProducts::ones}) {
      Variant variant(spec, kNoScheme);
      Scratch scratch;
      CountingSteps steps(
          scratch, [](int) { return kRowBytes; }, products);
      Stream stream(3);
      for (const int tokens : {9, 1})
        (void)variant.feed(steps, {tokens}, stream.normals(std::int64_t{tokens} * kHidden));
      counts.push_back(steps.counts());
    }
    EXPECT_EQ(counts[0].operations(), counts[1].operations()) << name;
    EXPECT_EQ(counts[0].bytes(), counts[1].bytes()) << name;
    EXPECT_EQ(counts[0].queries, counts[1].queries) << name;
  }
}

TEST(DifferentialCounts, AreOfMapsWithKeysAndValuesOfTwiceTheWidth) {
  const CreateContext context = spec_of("differential", 2).context;
  const double d = context.head_dim;
  for (const Shape& shape : kShapes) {
    const StepCounts counts = count(spec_of("differential", 2), shape);
    EXPECT_EQ(counts.weight_multiply_adds, tokens(shape) * (2 * context.heads + 2 * 2) * d * kHidden);
    EXPECT_EQ(counts.pairs, causal_pairs(shape) * context.heads);
    EXPECT_EQ(counts.attention_multiply_adds, counts.pairs * (2 * d + 2 * d));
    EXPECT_EQ(counts.rows_read, seen_rows(shape) * 1);
  }
}

// A query reads as many whole blocks and its own up to itself, whichever it chooses; the gates of all blocks before its
// own, and the rows of blocks whose means are new, count beside that.
TEST(MobaCounts, AreOfTheBlocksThatAreReadAndOfTheChoice) {
  const int block = 8, top_k = 3, kv_heads = 2;
  const VariantSpec spec = spec_of("moba", kv_heads, {{"block", std::int64_t{block}}, {"top_k", std::int64_t{top_k}}});
  const double d = spec.context.head_dim;
  for (const Shape& shape : kShapes) {
    double pairs = 0, gates = 0, means = 0, new_means = 0;
    for (std::size_t s = 0; s < shape.tokens.size(); ++s) {
      const int end = shape.held[s] + shape.tokens[s];
      for (int at = shape.held[s]; at < end; ++at) {
        pairs += std::min(at / block, top_k - 1) * block + at % block + 1;
        gates += at / block;
      }
      if (shape.tokens[s] == 0) continue;
      means += (end - 1) / block;
      new_means += (end - 1) / block - std::max(0, shape.held[s] - 1) / block;
    }
    const StepCounts counts = count(spec, shape);
    EXPECT_EQ(counts.weight_multiply_adds, tokens(shape) * (2 * spec.context.heads + 2 * kv_heads) * d * kHidden);
    EXPECT_EQ(counts.pairs, pairs * spec.context.heads);
    EXPECT_EQ(counts.attention_multiply_adds,
              counts.pairs * 2 * d + gates * spec.context.heads * d + new_means * block * kv_heads * d);
    EXPECT_EQ(counts.state_bytes, sizeof(float) * kv_heads * d * (means + new_means * block));
    EXPECT_LE(counts.rows_read, seen_rows(shape) * kv_heads);
  }
  EXPECT_EQ(plugins().attention("moba", spec.options, spec.context)->visible_rows(), block * top_k);
  // A step reads what its heads have chosen: of 70 rows no more than 2 blocks for each of two heads, and 7 of the own.
  EXPECT_LE(count(spec, {{70}, {1}}).rows_read, kv_heads * (2 * 2 * block + 7));
}

// Three branches: the means of complete blocks, twice the product of every query with each; the rows of the chosen
// blocks; the newest rows.
TEST(NsaCounts, AreOfItsThreeBranches) {
  const int block = 8, top_k = 3, window = 12, kv_heads = 2;
  const VariantSpec spec =
      spec_of("nsa", kv_heads,
              {{"block", std::int64_t{block}}, {"top_k", std::int64_t{top_k}}, {"window", std::int64_t{window}}});
  const double d = spec.context.head_dim, heads = spec.context.heads;
  for (const Shape& shape : kShapes) {
    double pairs = 0, compressed = 0, means = 0, new_means = 0;
    for (std::size_t s = 0; s < shape.tokens.size(); ++s) {
      const int end = shape.held[s] + shape.tokens[s];
      for (int at = shape.held[s]; at < end; ++at) {
        pairs += std::min(at / block, top_k - 1) * block + at % block + 1 + std::min(at + 1, window);
        compressed += (at + 1) / block;
      }
      if (shape.tokens[s] == 0) continue;
      means += end / block;
      new_means += end / block - shape.held[s] / block;
    }
    const StepCounts counts = count(spec, shape);
    EXPECT_EQ(counts.weight_multiply_adds, tokens(shape) * ((2 * heads + 2 * kv_heads) * d + 3 * heads) * kHidden);
    EXPECT_EQ(counts.pairs, pairs * heads);
    EXPECT_EQ(counts.attention_multiply_adds,
              counts.pairs * 2 * d + compressed * heads * 2 * d + new_means * block * kv_heads * 2 * d);
    EXPECT_EQ(counts.state_bytes, sizeof(float) * kv_heads * 2 * d * (means + new_means * block));
  }
  EXPECT_EQ(plugins().attention("nsa", spec.options, spec.context)->visible_rows(), block * top_k + window);
}

// Of sequences with more than one token the expanded form: keys of nope + rope, values of value channels, all made from
// the cached rows; else the absorbed form over the rows themselves.
TEST(MlaCounts, AreOfTheFormThatRuns) {
  const int latent = 16, nope = 12, rope = 8, value = 20;
  const auto options = [&](const char* form) {
    return OptionValues{{"kv_lora_rank", std::int64_t{latent}},
                        {"qk_nope_head_dim", std::int64_t{nope}},
                        {"qk_rope_head_dim", std::int64_t{rope}},
                        {"v_head_dim", std::int64_t{value}},
                        {"form", std::string(form)}};
  };
  const int heads = spec_of("mla", 4).context.heads;
  for (const Shape& shape : kShapes)
    for (const char* form : {"expanded", "absorbed"}) {
      const StepCounts counts = count(spec_of("mla", 4, options(form)), shape);
      const double projections =
          tokens(shape) * (heads * (nope + rope) + latent + rope + heads * value) * static_cast<double>(kHidden);
      EXPECT_EQ(counts.pairs, causal_pairs(shape) * heads) << form;
      const double matrices = matrix_bytes(heads * (nope + rope), kHidden) + matrix_bytes(latent + rope, kHidden) +
                              matrix_bytes(kHidden, heads * value);
      // The matrix of the pairs: whole, once a sequence (of less than 512 rows); or its two parts of every head, once.
      const double pairs = form == std::string("expanded")
                               ? static_cast<double>(std::ranges::count_if(shape.tokens, [](int n) { return n > 0; })) *
                                     matrix_bytes(heads * (nope + value), latent)
                               : heads * (matrix_bytes(latent, nope) + matrix_bytes(value, latent));
      EXPECT_EQ(counts.weight_bytes, matrices + pairs) << form;
      if (form == std::string("expanded")) {
        EXPECT_EQ(counts.attention_multiply_adds, counts.pairs * (nope + rope + value));
        EXPECT_EQ(counts.weight_multiply_adds, projections + seen_rows(shape) * heads * (nope + value) * latent);
      } else {
        EXPECT_EQ(counts.attention_multiply_adds, counts.pairs * (latent + rope + latent));
        EXPECT_EQ(counts.weight_multiply_adds, projections + tokens(shape) * heads * (nope + value) * double{latent});
        EXPECT_EQ(counts.rows_read, seen_rows(shape));
      }
    }
}

// A token reads the state and adds to it, and its normaliser is the product with a sum of keys; tokens of one block
// meet each other, up to the query's own.
TEST(LinearCounts, AreOfTheStateAndOfWhatIsInsideABlock) {
  const CreateContext context = spec_of("linear", 2).context;
  const double d = context.head_dim;
  for (const Shape& shape : kShapes) {
    double own = 0;
    for (const int count : shape.tokens) {
      own += count * d * (d * (context.heads + 2) + 2 * context.heads + 2);
      for (int left = count; count > 1 && left > 0; left -= 64) {
        const double block = std::min(left, 64);
        own += 2 * block * (block + 1) / 2 * d * context.heads;
      }
    }
    const StepCounts counts = count(spec_of("linear", 2), shape);
    EXPECT_EQ(counts.attention_multiply_adds, own);
    EXPECT_EQ(counts.weight_multiply_adds, tokens(shape) * (2 * context.heads + 2 * 2) * d * kHidden);
    const auto passes = static_cast<double>(std::ranges::count_if(shape.tokens, [](int fed) { return fed > 0; }));
    EXPECT_EQ(counts.state_bytes, passes * 2 * sizeof(float) * 2 * d * (d + 1));  // read and written, of both kv heads
    EXPECT_EQ(counts.pairs, 0);
    EXPECT_EQ(counts.rows_read, 0);
  }
}

// A state is read by its heads and written once a token, after a look under the key with the delta rule; tokens of a
// block meet each other, up to the query's own, and once more to find what the delta rule writes.
TEST(StateCounts, AreOfTheStateAndOfWhatIsInsideABlock) {
  for (const bool is_delta : {false, true}) {
    const VariantSpec spec = spec_of(is_delta ? "gated_delta" : "gla", 2);
    const double d = spec.context.head_dim, heads = spec.context.heads, states = is_delta ? heads : 2;
    for (const Shape& shape : kShapes) {
      double own = 0;
      for (const int count : shape.tokens) {
        own += count * d * d * (heads + states * (is_delta ? 2 : 1));
        for (int left = count; count > 1 && left > 0; left -= 64) {
          const double block = std::min(left, 64);
          own += block * (block + 1) * d * (heads + (is_delta ? states : 0));
        }
      }
      const StepCounts counts = count(spec, shape);
      EXPECT_EQ(counts.attention_multiply_adds, own) << spec.attention;
      const auto fed = static_cast<double>(std::ranges::count_if(shape.tokens, [](int tokens) { return tokens > 0; }));
      EXPECT_EQ(counts.state_bytes, fed * 2 * sizeof(float) * states * d * d) << spec.attention;
    }
  }
}

}  // namespace
}  // namespace attnlab
