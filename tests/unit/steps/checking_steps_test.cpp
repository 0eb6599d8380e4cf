// The checking steps: they find nothing where nothing is wrong, in every variant and storage, and what is wrong by its
// step, layer, head and token; and they say what they cannot know.
#include "steps/checking_steps.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "reference/storage_spec.h"
#include "reference/variant_reference.h"
#include "steps/given_rows.h"

namespace attnlab {
namespace {

using namespace reference;

constexpr std::uint64_t kSeed = 29;
using Names = std::set<std::string>;

double exact(int) {
  return 0;
}

VariantSpec spec_of(const std::string& attention, int kv_heads, int sequences) {
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
  if (attention == "mla") spec.options = Latent{}.options();
  if (attention == "gated_delta") spec.options = {{"conv_size", std::int64_t{3}}};
  spec.sequences = sequences;
  return spec;
}

class EveryAttention : public testing::TestWithParam<std::pair<const char*, int>> {};

// A ragged batch as a prompt, then a piece for one sequence and steps for the others.
TEST_P(EveryAttention, IsRightStepByStep) {
  const auto [name, kv_heads] = GetParam();
  Variant variant(spec_of(name, kv_heads, 3), {.name = "none"});
  Stream stream(kSeed);
  Scratch scratch;
  CheckingSteps steps(scratch, exact);
  for (const std::vector<int>& tokens : {std::vector<int>{70, 1, 5}, {1, 30, 1}, {0, 1, 1}}) {
    const std::int64_t count = std::accumulate(tokens.begin(), tokens.end(), 0);
    (void)variant.feed(steps, tokens, stream.normals(count * kHidden));
  }
  EXPECT_LT(steps.largest().deviation, 1e-5) << steps.largest().text() << ", seed " << kSeed;
  EXPECT_TRUE(steps.independent_steps().contains("project"));
}

INSTANTIATE_TEST_SUITE_P(, EveryAttention,
                         testing::Values(std::pair("mha", 4), std::pair("gqa", 2), std::pair("mqa", 1),
                                         std::pair("mla", 4), std::pair("differential", 2), std::pair("linear", 2),
                                         std::pair("sigmoid", 2), std::pair("gla", 2), std::pair("gated_delta", 4)),
                         [](const auto& info) { return info.param.first; });

TEST(CheckingSteps, SayWhatTheyCannotKnow) {
  const auto formulas = [](const std::string& attention, const Scheme& scheme, const std::string& cache) {
    VariantSpec spec = spec_of(attention, attention == "mla" ? 4 : 2, 1);
    spec.cache = cache;
    Variant variant(spec, scheme);
    Scratch scratch;
    CheckingSteps steps(scratch, exact);
    (void)variant.feed(steps, {9}, Stream(kSeed).normals(9 * kHidden));
    return steps.formulas();
  };
  EXPECT_EQ(formulas("gqa", {.name = "none"}, "full"), Names{});
  EXPECT_EQ(formulas("gqa", {.name = "rope"}, "full"), Names{"rotation"});
  EXPECT_EQ(formulas("gqa", {.name = "alibi"}, "full"), Names{"position bias"});
  EXPECT_EQ(formulas("gqa", {.name = "none"}, "window"), Names{"visibility"});
  EXPECT_EQ(formulas("sigmoid", {.name = "none"}, "full"), Names{"weighting"});
  EXPECT_EQ(formulas("mla", {.name = "none"}, "full"),
            (Names{"rows of its own making", "unchecked work between its steps"}));
}

// Rows that were given, through a layer that only appends and attends.
class Rows {
 public:
  Rows(const KvShape& shape, int heads, const std::vector<int>& tokens)
      : shape_(shape), heads_(heads), given_(shape, heads) {
    for (const int count : tokens) chunk_.add(0, count);
  }

  void feed(ModelSteps& steps, LayerCache& cache, const ScoreHook* bias = nullptr) {
    Stream stream(kSeed);
    const ChunkView chunk = chunk_.view();
    const std::int64_t tokens = chunk.tokens();
    const auto queries = stream.normals(tokens * heads_ * shape_.key_dim);
    const auto keys = stream.normals(tokens * shape_.kv_heads * shape_.key_dim);
    const auto values = stream.normals(tokens * shape_.kv_heads * shape_.value_dim);
    given_.give(rows_view(queries, heads_, shape_.key_dim), rows_view(keys, shape_.kv_heads, shape_.key_dim),
                rows_view(values, shape_.kv_heads, shape_.value_dim));
    std::vector<float> out(static_cast<std::size_t>(tokens * heads_ * shape_.value_dim));
    const Biased scheme(bias);
    run_layer(steps, given_, {.chunk = chunk, .cache = cache, .position = scheme, .layer = 3}, {},
              {out.data(), {tokens, std::int64_t{heads_} * shape_.value_dim}});
  }

 private:
  class Biased final : public PositionScheme {
   public:
    explicit Biased(const ScoreHook* bias) : bias_(bias) {}
    const ScoreHook* score_bias() const override { return bias_; }

   private:
    const ScoreHook* bias_;
  };

  KvShape shape_;
  int heads_;
  GivenRows given_;
  Chunk chunk_;
};

std::unique_ptr<LayerCache> full_cache(const KvShape& shape, int sequences, const StorageSpec& storage = {}) {
  LayerCacheContext context = cache_context(shape, 4, sequences, KeyForm::rotated);
  context.make_rows = [=] { return make_rows(storage, shape, sequences, 0); };
  return plugins().cache("full", {}, {})->create(context);
}

constexpr KvShape kShape{.kv_heads = 2, .key_dim = 16, .value_dim = 16};

// Changes a score of one head and token where it is asked for many at once, and not one by one.
class WrongAt final : public ScoreHook {
 public:
  WrongAt(int token, int head) : token_(token), head_(head) {}
  void apply(ScoreTile& tile) const noexcept override {
    if (tile.scores.extent(2) == 1) return;
    for (std::int64_t member = 0; member < tile.scores.extent(0); ++member)
      for (std::int64_t query = 0; query < tile.scores.extent(1); ++query)
        if (tile.first_head + member == head_ && tile.first_token + query == token_) tile.scores(member, query, 0) += 9;
  }

 private:
  int token_;
  int head_;
};

TEST(CheckingSteps, NameTheStepTheLayerTheHeadAndTheToken) {
  Rows rows(kShape, 4, {20, 30});
  const auto cache = full_cache(kShape, 2);
  Scratch scratch;
  CheckingSteps steps(scratch, exact);
  const WrongAt wrong(49, 2);
  rows.feed(steps, *cache, &wrong);
  EXPECT_GT(steps.of_self_consistent().deviation, 0.01);
  EXPECT_EQ(steps.of_self_consistent().text(), "attend of layer 3, token 49, head 2");
  EXPECT_LT(steps.of_independent().deviation, 1e-5) << steps.of_independent().text();
}

TEST(CheckingSteps, OfAFewScoresComeToTheNewestTokenOfEverySequenceAndToEveryHead) {
  for (const int newest : {19, 49})
    for (int head = 0; head < 4; ++head) {
      Scratch scratch;
      CheckingSteps steps(scratch, exact, {.scores = 1});  // less than one query's: one query of each sequence
      const WrongAt wrong(newest, head);
      for (int call = 0; call < 4; ++call) {
        Rows rows(kShape, 4, {20, 30});
        const auto cache = full_cache(kShape, 2);
        rows.feed(steps, *cache, &wrong);
      }
      EXPECT_GT(steps.of_self_consistent().deviation, 0.01) << "token " << newest << ", head " << head;
    }
}

// A cache that gives other rows than it got, in one way or another.
class LyingCache final : public LayerCache {
 public:
  enum class Lie : std::uint8_t { none, value, key, position, twice };
  LyingCache(std::unique_ptr<LayerCache> inner, Lie lie) : inner_(std::move(inner)), lie_(lie) {}
  KvShape shape() const noexcept override { return inner_->shape(); }
  KeyForm key_form() const noexcept override { return inner_->key_form(); }
  void append(const ChunkView& chunk, const NewRows& rows) override { inner_->append(chunk, rows); }
  void clear(int sequence) override { inner_->clear(sequence); }
  int rows(int sequence, int kv_head) const noexcept override { return inner_->rows(sequence, kv_head); }
  std::size_t bytes() const noexcept override { return inner_->bytes(); }
  int tiles(int sequence, int kv_head) const noexcept override { return inner_->tiles(sequence, kv_head); }
  KvTile tile(int sequence, int kv_head, int index, TileScratch& scratch) const noexcept override {
    KvTile tile = inner_->tile(sequence, kv_head, index, scratch);
    if (sequence != 1 || kv_head != 1) return tile;
    const KvShape shape = inner_->shape();
    for (int row = 0; row < tile.rows(); ++row) {
      scratch.positions[row] = tile.positions[row];
      for (int i = 0; i < shape.key_dim; ++i) scratch.keys[row * shape.key_dim + i] = tile.keys(row, i);
      for (int i = 0; i < shape.value_dim; ++i) scratch.values[row * shape.value_dim + i] = tile.values(row, i);
    }
    if (lie_ == Lie::value) scratch.values[5 * shape.value_dim + 3] *= 1 + 1e-6F;
    if (lie_ == Lie::key) scratch.keys[5 * shape.key_dim] *= 1 + 1e-6F;
    if (lie_ == Lie::position) scratch.positions[5] = 30;
    if (lie_ == Lie::twice) scratch.positions[5] = 4;
    tile.keys = {scratch.keys.data(), {tile.rows(), shape.key_dim}};
    tile.values = {scratch.values.data(), {tile.rows(), shape.value_dim}};
    tile.positions = scratch.positions.first(tile.positions.size());
    for (const Position position : tile.positions) tile.range.include(position);
    return tile;
  }

 private:
  std::unique_ptr<LayerCache> inner_;
  Lie lie_;
};

TEST(CheckingSteps, SeeRowsThatAreNotWhatWasAppended) {
  using Lie = LyingCache::Lie;
  const std::pair<Lie, std::string> lies[] = {
      {Lie::none, ""},
      {Lie::value, "the row at position 5 of sequence 1 has another value than was appended"},
      {Lie::key, "the row at position 5 of sequence 1 has another key than was appended"},
      {Lie::position, "the row at position 30 of sequence 1 was never appended"},
      {Lie::twice, "the row at position 4 of sequence 1 is there twice"}};
  for (const auto& [lie, what] : lies) {
    Rows rows(kShape, 4, {20, 30});
    LyingCache cache(full_cache(kShape, 2), lie);
    Scratch scratch;
    CheckingSteps steps(scratch, exact);
    rows.feed(steps, cache);
    if (lie == Lie::none)
      EXPECT_LT(steps.largest().deviation, 1e-5);
    else
      EXPECT_EQ(steps.largest().text(), "rows of layer 3, head 1: " + what);
  }
}

// Within the step that the storage declares, and not within a quarter of it: the step says something.
TEST(CheckingSteps, HoldRoundedRowsAgainstTheStepOfTheirStorage) {
  for (StorageSpec storage :
       {StorageSpec{.keys = "bf16", .values = "bf16"}, StorageSpec{.keys = "int8", .values = "int8"},
        StorageSpec{.keys = "int4", .values = "int4"}, StorageSpec{.keys = "kivi", .values = "kivi"}}) {
    storage.kivi = {.bits = 2, .group = 8, .residual = 8};
    const KvShape shape{.kv_heads = 2, .key_dim = 32, .value_dim = 32};
    for (const double part : {1.0, 0.25}) {
      Rows prompt(shape, 4, {60, 90});
      const auto cache = full_cache(shape, 2, storage);
      Scratch scratch;
      CheckingSteps steps(scratch, [&](int) { return part * row_storage(storage).row_step(shape); });
      prompt.feed(steps, *cache);
      // Rounded after the prompt: the codes are read by what comes next.
      Chunk chunk;
      chunk.add(60, 1, Phase::decode).add(90, 1, Phase::decode);
      const ChunkView view = chunk.view();
      GivenRows given(shape, 4);
      Stream stream(kSeed + 1);
      const auto queries = stream.normals(std::int64_t{2} * 4 * 32), keys = stream.normals(std::int64_t{2} * 2 * 32);
      given.give(rows_view(queries, 4, 32), rows_view(keys, 2, 32), rows_view(keys, 2, 32));
      std::vector<float> out(std::size_t{2} * 4 * 32);
      const PositionScheme none;
      run_layer(steps, given, {.chunk = view, .cache = *cache, .position = none}, {}, {out.data(), {2, 4 * 32}});
      if (part == 1.0)
        EXPECT_LT(steps.largest().deviation, 1e-5) << storage.text() << ": " << steps.largest().text();
      else
        EXPECT_EQ(steps.largest().step, "rows") << storage.text();
    }
  }
}

// An output whose sum floats lose: the ones between two large weights that cancel.
TEST(CheckingSteps, OfAFewOutputsComeToAllOfThem) {
  constexpr int kOutputs = 48;
  constexpr int kInputs = 32;
  for (const int lossy : {-1, 0, 17, 47}) {
    std::vector<float> weights = Stream(kSeed).normals(std::int64_t{kOutputs} * kInputs);
    if (lossy >= 0) {
      const auto of_output = std::span(weights).subspan(static_cast<std::size_t>(lossy) * kInputs, kInputs);
      std::ranges::fill(of_output, 1.0F);
      of_output.front() = 1e9F;
      of_output.back() = -1e9F;
    }
    Matrix matrix(kOutputs, kInputs, ElementType::f32);
    matrix.pack(0, std::span<const float>(weights));
    const std::vector<float> input(std::size_t{6} * kInputs, 1.0F);
    std::vector<float> out(std::size_t{6} * kOutputs);
    Scratch scratch;
    CheckingSteps steps(scratch, exact, {.multiply_adds = 300, .tokens = 2});  // four outputs of two tokens
    for (int call = 0; call < kOutputs / 4; ++call)
      steps.project({input.data(), {6, kInputs}}, Projection{matrix, {out.data(), {6, kOutputs}}});
    EXPECT_EQ(steps.largest().deviation > 1e-3, lossy >= 0) << "output " << lossy;
  }
}

}  // namespace
}  // namespace attnlab
