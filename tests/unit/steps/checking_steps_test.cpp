// The checking steps: they find nothing where nothing is wrong, in every variant and storage, and what is wrong by its
// step, layer, head and token; and they say what they cannot know.
#include "steps/checking_steps.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <vector>

#include "reference/storage_spec.h"
#include "reference/variant_reference.h"
#include "steps/given_attention.h"

namespace attnlab {
namespace {

using namespace reference;

constexpr std::uint64_t kSeed = 29;
using Names = std::set<std::string>;

double exact(int) {
  return 0;
}

VariantSpec spec_of(const std::string& attention, int sequences, int kv_heads = 2) {
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

// A layer that appends and attends with a row weighting.
class Mixing final : public AttentionVariant {
 public:
  Mixing(const KvShape& shape, int heads, const RowWeighting& weights)
      : shape_(shape), heads_(heads), weights_(weights) {}
  std::vector<ParameterSpec> parameters() const override { return {}; }
  void bind(const ParameterSet&) override {}
  KvShape kv_shape() const override { return shape_; }
  void forward(const LayerContext& layer, TensorView<const float, 2>, TensorView<float, 2> out) override {
    const std::int64_t tokens = layer.chunk.tokens();
    Stream stream(kSeed);
    const auto numbers = [&](std::int64_t heads, int width) {
      auto made = layer.steps.rows(tokens, heads, width);
      std::ranges::copy(stream.normals(made.elements()), made.data());
      return made;
    };
    layer.steps.append(numbers(shape_.kv_heads, shape_.key_dim), numbers(shape_.kv_heads, shape_.value_dim));
    layer.steps.attend(
        {.queries = numbers(heads_, shape_.key_dim), .scale = 1, .mask = mask_, .row_weighting = &weights_},
        {out.data(), {tokens, heads_, shape_.value_dim}});
  }

 private:
  KvShape shape_;
  int heads_;
  const RowWeighting& weights_;
  CausalMask mask_;
};

class EveryAttention : public testing::TestWithParam<std::string> {};

// A ragged batch as a prompt, then a piece for one sequence and steps for the others.
TEST_P(EveryAttention, IsRightStepByStep) {
  Variant variant(spec_of(GetParam(), 3), {.name = "none"});
  Stream stream(kSeed);
  Scratch scratch;
  CheckingSteps steps(scratch, exact);
  steps.set_lone_layer();
  for (const std::vector<int>& tokens : {std::vector<int>{70, 1, 5}, {1, 30, 1}, {0, 1, 1}}) {
    const std::int64_t count = std::accumulate(tokens.begin(), tokens.end(), 0);
    (void)variant.feed(steps, tokens, stream.normals(count * kHidden));
  }
  EXPECT_LT(steps.largest().deviation, 1e-5) << steps.largest().text() << ", seed " << kSeed;
  EXPECT_TRUE(steps.independent_steps().contains("project"));
}

INSTANTIATE_TEST_SUITE_P(, EveryAttention, testing::ValuesIn(plugins().ids(Kind::attention)),
                         [](const auto& info) { return info.param; });

TEST(CheckingSteps, SayWhatTheyCannotKnow) {
  const auto formulas = [](const std::string& attention, const Scheme& scheme, const std::string& cache) {
    VariantSpec spec = spec_of(attention, 1);
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

// A call is bounded by the scores that are computed anew: all heads of a query, and what mixing them costs.
TEST(CheckingSteps, CountWhatARowWeightingCosts) {
  class Counting final : public RowWeighting {
   public:
    bool takes_all_heads() const noexcept override { return true; }
    void weigh(QueryScores& query) const noexcept override {
      queries += 1;
      for (std::int64_t head = 0; head < query.scores.extent(0); ++head)
        for (std::int64_t member = 0; member < query.scores.extent(1); ++member)
          std::ranges::fill(query.scores[head].row(member), 0.5F);
    }
    double multiply_adds(int) const noexcept override { return cost; }
    mutable std::atomic<int> queries = 0;
    double cost = 0;
  };
  constexpr int kTokens = 64, kHeads = 4, kWidth = 16;
  const KvShape shape{.kv_heads = 2, .key_dim = kWidth, .value_dim = kWidth};
  // Queries of the slow form; each is of one tile of rows, whose scores it computes for every head to mix and to weigh.
  const auto slow_queries = [&](double cost, double scores) {
    Counting weights;
    weights.cost = cost;
    const auto cache = plugins().cache("full", {}, {})->create(cache_context(shape, kHeads, 1, KeyForm::rotated));
    Scratch scratch;
    CheckingSteps steps(scratch, exact, {.scores = scores, .multiply_adds = 1e9, .tokens = 4, .row_stride = 1});
    Mixing layer(shape, kHeads, weights);
    Chunk chunk;
    chunk.add(0, kTokens, Phase::last_prefill);
    const ChunkView view = chunk.view();
    std::vector<float> out(static_cast<std::size_t>(kTokens) * kHeads * kWidth);
    const auto position = plugins().position("none", {}, {});
    run_layer(steps, layer, {.chunk = view, .cache = *cache, .position = *position}, {},
              {out.data(), {kTokens, kHeads * kWidth}});
    EXPECT_LT(steps.largest().deviation, 1e-5);
    return weights.queries - kTokens;  // the fast form weighs each query once
  };
  const double of_query = 64.0 * kHeads * 2;
  EXPECT_EQ(slow_queries(0, 5 * of_query), 5);
  EXPECT_EQ(slow_queries(2 * kWidth, 5 * 2 * of_query), 5) << "a mixture that costs as much as the scores";
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
  GivenAttention given_;
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
      GivenAttention given(shape, 4);
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

// Does its work, and then spoils one number of what the step of this name has written.
class Spoiling final : public ThroughSteps {
 public:
  Spoiling(Scratch& scratch, std::string step) : ThroughSteps(scratch), step_(std::move(step)) {}

  using Steps::append;
  using Steps::attend;
  using Steps::project;
  void project(TensorView<const float, 2> input, std::span<const Projection> projections) override {
    ThroughSteps::project(input, projections);
    spoil("project", projections.back().out.data());
  }
  void norm(TensorView<const float, 3> from, std::span<const float> weight, float eps,
            TensorView<float, 3> to) override {
    ThroughSteps::norm(from, weight, eps, to);
    spoil("norm", to.data());
  }
  void rotate(RotateSide side, TensorView<float, 3> rows) override {
    ThroughSteps::rotate(side, rows);
    spoil("rotate", rows.data());
  }
  void append(TensorView<float, 3> keys, TensorView<const float, 3> values, std::span<const float> marks) override {
    ThroughSteps::append(keys, values, marks);
    spoil("append", keys.data());
  }
  void attend(const AttendStep& step, TensorView<float, 3> out, TensorView<float, 2> log_sum) override {
    ThroughSteps::attend(step, out, log_sum);
    spoil("attend", out.data());
    if (log_sum.data() != nullptr) spoil("log_sum of attend", log_sum.data());
  }
  void gate(TensorView<const float, 2> gates, TensorView<float, 3> rows) override {
    ThroughSteps::gate(gates, rows);
    spoil("gate", rows.data());
  }
  void silu_multiply(TensorView<const float, 2> gates, TensorView<float, 2> rows) override {
    ThroughSteps::silu_multiply(gates, rows);
    spoil("silu_multiply", rows.data());
  }
  void silu(TensorView<float, 3> rows) override {
    ThroughSteps::silu(rows);
    spoil("silu", rows.data());
  }
  void convolve(std::span<const float> weight, TensorView<float, 2> state, TensorView<float, 3> rows) override {
    ThroughSteps::convolve(weight, state, rows);
    spoil("convolve", rows.data());
  }
  void blend(TensorView<const float, 3> from, std::span<const float> factors, TensorView<float, 3> to) override {
    ThroughSteps::blend(from, factors, to);
    spoil("blend", to.data());
  }
  void merge(std::span<const AttendedPart> parts, TensorView<float, 3> out, TensorView<float, 2> log_sum) override {
    ThroughSteps::merge(parts, out, log_sum);
    spoil("merge", out.data());
    spoil("log_sum of merge", log_sum.data());
  }
  void add_norm(TensorView<float, 2> x, const float* delta, const Norm& norm, TensorView<float, 2> out) override {
    ThroughSteps::add_norm(x, delta, norm, out);
    spoil("add", x.data());
    spoil("add_norm", out.data());
  }
  void gated_project(TensorView<const float, 2> input, const GatedProjection& halves,
                     TensorView<float, 2> out) override {
    ThroughSteps::gated_project(input, halves, out);
    spoil("gated_project", out.data());
  }
  void activate(Activation activation, TensorView<float, 2> rows) override {
    ThroughSteps::activate(activation, rows);
    spoil("activate", rows.data());
  }

 private:
  void spoil(const char* step, float* number) const {
    if (step_ == step) *number += 0.1F;
  }
  std::string step_;
};

// A layer that takes every step once, each from the numbers of the one before.
class EveryStep final : public AttentionVariant {
 public:
  static constexpr int kHeads = 2, kWidth = 8, kChannels = kHeads * kWidth, kTaps = 3;
  EveryStep() : matrix_(kChannels, kChannels, ElementType::f32), weights_(Stream(kSeed).normals(kChannels * kTaps)) {
    const std::vector<float> numbers = Stream(kSeed + 1).normals(kChannels * kChannels, 0.25);
    matrix_.pack(0, std::span<const float>(numbers));
  }
  KvShape kv_shape() const override { return {.kv_heads = kHeads, .key_dim = kWidth, .value_dim = kWidth}; }
  std::int64_t state_floats() const override { return (kTaps - 1) * kChannels; }
  void forward(const LayerContext& layer, TensorView<const float, 2> hidden, TensorView<float, 2> out) override {
    Steps& steps = layer.steps;
    const std::int64_t tokens = layer.chunk.tokens();
    const auto made = [&] {
      const TensorView<float, 3> rows = steps.rows(tokens, kHeads, kWidth);
      steps.project(hidden, {matrix_, {rows.data(), {tokens, kChannels}}});
      return rows;
    };
    const TensorView<float, 3> queries = made(), keys = made(), values = made(), mixed = made();
    const auto flat = [&](TensorView<float, 3> rows) { return TensorView<float, 2>(rows.data(), {tokens, kChannels}); };
    const std::span<const float> weights = weights_;
    steps.norm(queries, weights.first(kWidth), 1e-5F, queries);
    steps.convolve(weights, layer.state, values);
    steps.silu(values);
    steps.rotate(RotateSide::query, mixed);
    steps.append(keys, values);
    const CausalMask near(2), all;
    const TensorView<float, 3> parts[] = {made(), made()};
    const TensorView<float, 2> sums[] = {steps.rows(tokens, kHeads), steps.rows(tokens, kHeads)};
    steps.attend({.queries = queries, .scale = 1, .mask = near}, parts[0], sums[0]);
    steps.attend({.queries = queries, .scale = 1, .mask = all}, parts[1], sums[1]);
    const TensorView<float, 2> total = steps.rows(tokens, kHeads);
    const AttendedPart attended[] = {{parts[0], sums[0]}, {parts[1], sums[1]}};
    steps.merge(attended, mixed, total);
    steps.gate(total, mixed);
    steps.silu_multiply(flat(values), flat(mixed));
    const float factors[] = {0.3F, 0.7F};
    steps.blend(keys, factors, mixed);
    std::copy_n(mixed.data(), mixed.elements(), out.data());
  }
  const Matrix& matrix() const { return matrix_; }
  std::span<const float> weights() const { return weights_; }

 private:
  Matrix matrix_;
  std::vector<float> weights_;
};

// What the checking steps find in the work of `inner`, of a layer of every step and of the steps between layers.
StepDeviation found_in(ModelSteps& inner) {
  constexpr int kTokens = 9;
  EveryStep layer;
  const std::int64_t width = EveryStep::kChannels;
  const auto cache = full_cache(layer.kv_shape(), 1);
  const auto scheme = plugins().position("rope", {}, {.heads = 2, .head_dim = EveryStep::kWidth, .max_positions = 64});
  Chunk chunk;
  const ChunkView view = chunk.add(0, kTokens).view();
  std::vector<float> x = Stream(kSeed).normals(kTokens * width), out(x.size()), state(layer.state_floats());
  const TensorView<float, 2> rows = matrix_view(x, width), results = matrix_view(out, width);
  Scratch scratch;
  CheckingSteps steps(scratch, exact, {}, &inner);
  run_layer(steps, layer,
            {.chunk = view,
             .cache = *cache,
             .position = *scheme,
             .state = {state.data(), {1, static_cast<std::int64_t>(state.size())}}},
            rows, results);
  const std::span<const float> numbers = layer.weights().first(width);
  for (const NormKind kind : {NormKind::rms, NormKind::layer})
    steps.add_norm(rows, out.data(), {.kind = kind, .weight = numbers, .bias = numbers, .eps = 1e-5F}, results);
  for (const Activation activation :
       {Activation::silu, Activation::gelu, Activation::gelu_pytorch_tanh, Activation::relu, Activation::relu2}) {
    steps.gated_project(rows, {layer.matrix(), layer.matrix(), {}, {}, activation}, results);
    steps.activate(activation, results);
  }
  return steps.largest();
}

TEST(CheckingSteps, FindAWrongNumberOfEveryStep) {
  for (const std::string step :
       {"nothing", "project", "norm", "rotate", "append", "attend", "log_sum of attend", "gate", "silu_multiply",
        "silu", "convolve", "blend", "merge", "log_sum of merge", "add", "add_norm", "gated_project", "activate"}) {
    Scratch scratch;
    Spoiling spoiling(scratch, step);
    const StepDeviation found = found_in(spoiling);
    if (step == "nothing") {
      EXPECT_LT(found.deviation, 1e-5) << found.text();
      continue;
    }
    EXPECT_GT(found.deviation, 1e-3) << step;
    EXPECT_EQ(found.step, step);
  }
}

// Attends by a window that is one key wider than that of the step's mask.
class WiderWindow final : public ThroughSteps {
 public:
  using Steps::attend;
  using ThroughSteps::ThroughSteps;
  void attend(const AttendStep& step, TensorView<float, 3> out, TensorView<float, 2> log_sum) override {
    const CausalMask wider(static_cast<const CausalMask&>(step.mask).window() + 1);
    ThroughSteps::attend({.queries = step.queries, .scale = step.scale, .hooks = step.hooks, .mask = wider}, out,
                         log_sum);
  }
};

TEST(CheckingSteps, KnowTheWindowOfACausalMaskByItsDefinition) {
  for (const bool is_wider : {false, true}) {
    VariantSpec spec = spec_of("gqa", 1);
    spec.options = {{"window", std::int64_t{9}}};
    Variant variant(spec, {.name = "none"});
    Scratch scratch;
    WiderWindow wider(scratch);
    CheckingSteps steps(scratch, exact, {}, is_wider ? &wider : nullptr);
    (void)variant.feed(steps, {40}, Stream(kSeed).normals(40 * kHidden));
    EXPECT_EQ(steps.formulas(), Names{}) << "nothing that only the plugin knows";
    EXPECT_EQ(steps.of_independent().deviation > 0.01, is_wider) << steps.of_independent().text();
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
