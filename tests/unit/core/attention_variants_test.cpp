// Laws of the attention variants that are no softmax block: each against a slow reference in
// double precision that is written from its definition, token by token and without caches; chunks, batches and
// threads change nothing; the two forms of mla are one.
#include <functional>
#include <set>

#include <gtest/gtest.h>

#include "reference/recurrent_reference.h"
#include "reference/variant_reference.h"

namespace attnlab {
namespace {

using namespace reference;

constexpr std::uint64_t kSeed = 71;
constexpr double kTolerance = 1e-5;

CreateContext context(int heads, int kv_heads) {
  return {.layer = 2,
          .layers = 4,
          .hidden_dim = kHidden,
          .heads = heads,
          .kv_heads = kv_heads,
          .head_dim = 16,
          .max_positions = 512,
          .rms_norm_eps = 1e-6F};
}

// hidden [tokens, hidden_dim] -> what the layer answers.
using Reference = std::function<Rows(const Variant& layer, const Rows& hidden, const Scheme& scheme)>;

struct Case {
  std::string name;
  VariantSpec spec;
  Reference reference;
  std::vector<Scheme> schemes;  // that the variant can be combined with
};

Case differential(const std::string& name, int heads, int kv_heads) {
  const CreateContext c = context(heads, kv_heads);
  return {.name = name,
          .spec = {.attention = "differential", .context = c},
          .reference = [c](const Variant& layer, const Rows& hidden,
                           const Scheme& scheme) { return differential_reference(c, layer, hidden, scheme); },
          .schemes = {{"none"}, rope(16), rope(16, true), alibi(heads)}};
}
Case mla(const std::string& name, const Latent& dims, const std::string& form) {
  const CreateContext c = context(4, 4);
  return {.name = name,
          .spec = {.attention = "mla", .options = dims.options(form), .context = c},
          .reference = [c, dims](const Variant& layer, const Rows& hidden,
                                 const Scheme& scheme) { return mla_reference(c, dims, layer, hidden, scheme); },
          .schemes = {{"none"}, rope(dims.rope), rope(dims.rope, true), alibi(4)}};
}
Case linear(const std::string& name, int heads, int kv_heads, int option = 0) {
  const CreateContext c = context(heads, kv_heads);
  const int used = option > 0 ? option : kv_heads;
  return {.name = name,
          .spec = {.attention = "linear", .options = {{"kv_heads", std::int64_t{option}}}, .context = c},
          .reference = [c, used](const Variant& layer, const Rows& hidden,
                                 const Scheme& scheme) { return linear_reference(c, used, layer, hidden, scheme); },
          .schemes = {{"none"}, rope(16), rope(16, true)}};
}

Case sigmoid_case(const std::string& name, int heads, int kv_heads) {
  const CreateContext c = context(heads, kv_heads);
  return {.name = name,
          .spec = {.attention = "sigmoid", .context = c},
          .reference = [c](const Variant& layer, const Rows& hidden,
                           const Scheme& scheme) { return sigmoid_reference(c, layer, hidden, scheme); },
          .schemes = {{"none"}, rope(16), rope(16, true), alibi(heads)}};
}
Case gla(const std::string& name, int heads, int kv_heads, const std::string& decay) {
  const CreateContext c = context(heads, kv_heads);
  constexpr int kRank = 7;
  return {.name = name,
          .spec = {.attention = "gla",
                   .options = {{"decay", decay}, {"gate_low_rank_dim", std::int64_t{kRank}}},
                   .context = c},
          .reference =
              [c, decay](const Variant& layer, const Rows& hidden, const Scheme& scheme) {
                return gla_reference(c, decay == "retnet", kRank, layer, hidden, scheme);
              },
          .schemes = {{"none"}, rope(16), rope(16, true)}};
}
Case gated_delta(const std::string& name, int heads, int taps) {
  const CreateContext c = context(heads, heads);
  return {
      .name = name,
      .spec = {.attention = "gated_delta", .options = {{"conv_size", std::int64_t{taps}}}, .context = c},
      .reference = [c, taps](const Variant& layer, const Rows& hidden,
                             const Scheme& scheme) { return gated_delta_reference(c, taps, layer, hidden, scheme); },
      .schemes = {{"none"}, rope(16), rope(16, true)}};
}

// Widths on both sides of whole vectors, and more keys than a tile is wide.
const Latent kOdd{.latent = 21, .q_rank = 10, .nope = 5, .rope = 6, .value = 7};
const Latent kWide{.latent = 48, .nope = 32, .rope = 16, .value = 32};

class EveryVariant : public testing::TestWithParam<Case> {
 protected:
  static std::vector<float> hidden(int tokens, std::uint64_t seed = kSeed) {
    return Stream(seed).normals(std::int64_t{tokens} * kHidden);
  }
};

INSTANTIATE_TEST_SUITE_P(Attention, EveryVariant,
                         testing::Values(differential("differential", 8, 4),
                                         differential("differential_all_key_heads", 4, 4),
                                         differential("differential_one_value_head", 8, 2), mla("mla", {}, "auto"),
                                         mla("mla_q_lora", {.q_rank = 20}, "auto"), mla("mla_expanded", {}, "expanded"),
                                         mla("mla_absorbed", {}, "absorbed"), mla("mla_odd", kOdd, "auto"),
                                         mla("mla_odd_expanded", kOdd, "expanded"),
                                         mla("mla_odd_absorbed", kOdd, "absorbed"), mla("mla_wide", kWide, "auto"),
                                         linear("linear", 4, 2), linear("linear_mha", 3, 3),
                                         linear("linear_one_state", 6, 2, 1), sigmoid_case("sigmoid", 4, 2),
                                         sigmoid_case("sigmoid_mqa", 3, 1), gla("gla", 4, 2, "gate"),
                                         gla("gla_mha", 3, 3, "gate"), gla("retnet", 4, 2, "retnet"),
                                         gated_delta("gated_delta", 4, 0), gated_delta("gated_delta_conv", 3, 4)),
                         [](const auto& info) { return info.param.name; });

// The prompt in one piece, in pieces, and token by token: the variants change their way with the number of tokens.
TEST_P(EveryVariant, AgreesWithItsReferenceHoweverItIsFed) {
  constexpr int kTokens = 150;
  const std::vector<float> input = hidden(kTokens);
  for (const Scheme& scheme : GetParam().schemes) {
    const Variant parameters(GetParam().spec, scheme);
    const Rows right = GetParam().reference(parameters, {input.begin(), input.end()}, scheme);
    for (const KeyForm form : {KeyForm::rotated, KeyForm::unrotated})
      for (const std::vector<int>& sizes : std::vector<std::vector<int>>{
               {kTokens}, {1, 149}, {64, 1, 1, 63, 2, 19}, {100, 50}, std::vector<int>(kTokens, 1)}) {
        VariantSpec spec = GetParam().spec;
        spec.key_form = form;
        Variant layer(spec, scheme);
        EXPECT_LT(normalised_error(layer.feed_pieces(sizes, input), right), kTolerance)
            << scheme.name << (form == KeyForm::rotated ? ", rotated" : ", unrotated") << ", pieces from " << sizes[0]
            << ", seed " << kSeed;
      }
  }
}

TEST_P(EveryVariant, AnswersABatchAsItsSequencesAlone) {
  const Scheme& scheme = GetParam().schemes[1];
  VariantSpec spec = GetParam().spec;
  std::deque<Variant> alone;
  for (int sequence = 0; sequence < 4; ++sequence) alone.emplace_back(spec, scheme);
  spec.sequences = 4;
  Variant together(spec, scheme);
  Stream stream(kSeed);
  // Prompts beside steps beside nothing, in every order.
  for (const std::vector<int>& tokens : std::vector<std::vector<int>>{
           {70, 0, 3, 1}, {1, 100, 1, 1}, {0, 1, 40, 0}, {1, 1, 1, 1}, {1, 5, 1, 9}, {2, 2, 0, 1}, {1, 0, 0, 1}}) {
    std::vector<float> input;
    std::vector<float> right;
    for (int sequence = 0; sequence < 4; ++sequence) {
      const std::vector<float> own = stream.normals(std::int64_t{tokens[sequence]} * kHidden);
      input.insert(input.end(), own.begin(), own.end());
      if (tokens[sequence] == 0) continue;
      const std::vector<float> out = alone[sequence].feed({tokens[sequence]}, own);
      right.insert(right.end(), out.begin(), out.end());
    }
    EXPECT_LT(normalised_error(together.feed(tokens, input), right), kTolerance)
        << tokens[0] << ", " << tokens[1] << " ... tokens, seed " << kSeed;
  }
}

TEST_P(EveryVariant, GivesTheSameBitsForEveryNumberOfThreads) {
  const KeepThreads keep;
  VariantSpec spec = GetParam().spec;
  spec.sequences = 2;
  const auto run = [&](int count) {
    set_threads(count);
    Variant layer(spec, GetParam().schemes[1]);
    std::vector<float> all = layer.feed({130, 40}, hidden(170));
    for (const std::vector<int>& tokens : std::vector<std::vector<int>>{{1, 1}, {20, 1}, {1, 1}}) {
      const std::vector<float> out = layer.feed(tokens, hidden(tokens[0] + tokens[1], kSeed + 1));
      all.insert(all.end(), out.begin(), out.end());
    }
    return all;
  };
  const std::vector<float> alone = run(1);
  for (const int count : {2, 3, 5}) EXPECT_TRUE(same_bits(run(count), alone)) << count << " threads, seed " << kSeed;
}

TEST_P(EveryVariant, DeclaresItsParametersOnce) {
  const Variant layer(GetParam().spec, GetParam().schemes[0]);
  std::set<std::string> names;
  for (const ParameterSpec& parameter : layer.attention().parameters()) {
    EXPECT_TRUE(names.insert(parameter.name).second) << parameter.name;
    EXPECT_EQ(parameter.scope, ParameterScope::layer) << parameter.name;
    // A norm that starts with random weights would make the layer's output random in size.
    const bool is_norm = parameter.name.find("norm") != std::string::npos || parameter.name == "subln.weight";
    EXPECT_EQ(parameter.init, is_norm ? Init::ones : Init::normal) << parameter.name;
  }
}

Traits traits(const std::string& attention) {
  return plugins().traits(plugins().get(Kind::attention, attention, ""), {});
}

TEST(Differential, KeepsBothKeysOfAValueHeadInOneRow) {
  const KvShape shape = plugins().attention("differential", {}, context(8, 4))->kv_shape();
  EXPECT_EQ(shape.kv_heads, 2);
  EXPECT_EQ(shape.key_dim, 32);
  EXPECT_EQ(shape.value_dim, 32);
  EXPECT_EQ(shape.rotation_width(), 16);
  EXPECT_EQ(shape.rotated_repeats, 2);
  for (const Feature feature : {Feature::kv_rows, Feature::attention_mass, Feature::several_maps})
    EXPECT_TRUE(traits("differential").provides.has(feature));
}

TEST(Differential, RefusesHeadsThatAreNoPairs) {
  for (const auto& [heads, kv_heads] : {std::pair{6, 3}, {3, 3}, {4, 1}}) {
    try {
      static_cast<void>(plugins().attention("differential", {}, context(heads, kv_heads)));
      FAIL() << heads << " heads over " << kv_heads << " were taken";
    } catch (const Error& error) {
      const std::string text = error.what();
      EXPECT_NE(text.find(std::to_string(heads) + " query heads and " + std::to_string(kv_heads) + " key heads"),
                std::string::npos)
          << text;
      EXPECT_NE(text.find("must be even"), std::string::npos) << text;
    }
  }
}

TEST(Differential, TakesALambdaInitInPlaceOfThatOfTheLayer) {
  const std::vector<float> input = Stream(kSeed).normals(20 * kHidden);
  VariantSpec spec{.attention = "differential", .context = context(8, 4)};
  const std::vector<float> by_layer = Variant(spec, {"none"}).feed({20}, input);
  spec.options = {{"lambda_init", 0.8 - 0.6 * std::exp(-0.3 * 2)}};
  EXPECT_TRUE(same_bits(Variant(spec, {"none"}).feed({20}, input), by_layer));
  spec.options = {{"lambda_init", 0.8}};
  EXPECT_GT(normalised_error(Variant(spec, {"none"}).feed({20}, input), by_layer), 1e-2);
}

TEST(Mla, CachesOneRowForAllHeads) {
  const KvShape shape = plugins().attention("mla", Latent{}.options(), context(4, 4))->kv_shape();
  EXPECT_EQ(shape.kv_heads, 1);
  EXPECT_EQ(shape.key_dim, 32);
  EXPECT_EQ(shape.value_dim, 24);
  EXPECT_TRUE(shape.value_is_key_prefix);
  EXPECT_EQ(shape.rotated_first, 24);
  EXPECT_EQ(shape.rotation_width(), 8);
  for (const Feature feature : {Feature::kv_rows, Feature::attention_mass, Feature::single_kv_head})
    EXPECT_TRUE(traits("mla").provides.has(feature));
}

// Over caches that forget, that number rows anew and that store keys either way.
TEST(Mla, GivesTheSameInBothFormsOverEveryCache) {
  const std::vector<std::pair<std::string, OptionValues>> caches{
      {"full", {}},
      {"window", {{"window", std::int64_t{50}}}},
      {"sink", {{"sinks", std::int64_t{3}}, {"window", std::int64_t{40}}, {"positions", std::string("renumbered")}}},
      {"sink", {{"sinks", std::int64_t{70}}, {"window", std::int64_t{20}}, {"positions", std::string("original")}}}};
  const std::vector<int> pieces{90, 1, 1, 60, 1, 30};
  const std::vector<float> input = Stream(kSeed).normals(std::int64_t{183} * kHidden);
  for (const Latent& dims : {Latent{}, kOdd, kWide})
    for (const Scheme& scheme : {rope(dims.rope, true), alibi(4)})
      for (const KeyForm form : {KeyForm::rotated, KeyForm::unrotated})
        for (const auto& [cache, options] : caches) {
          const auto run = [&](const std::string& which) {
            Variant layer({.attention = "mla",
                           .options = dims.options(which),
                           .context = context(4, 4),
                           .cache = cache,
                           .cache_options = options,
                           .key_form = form},
                          scheme);
            return layer.feed_pieces(pieces, input);
          };
          const std::vector<float> absorbed = run("absorbed");
          EXPECT_LT(normalised_error(run("expanded"), absorbed), kTolerance) << cache << ", " << scheme.name;
          EXPECT_LT(normalised_error(run("auto"), absorbed), kTolerance) << cache << ", " << scheme.name;
        }
}

// Hands out small tiles in another order, each with a cap of its own, and wants to know the mass if it is told to.
class Observed final : public LayerCache, public MassSink {
 public:
  Observed(std::unique_ptr<KvRows> rows, const KvShape& shape, bool watches)
      : rows_(std::move(rows)), shape_(shape), watches_(watches) {}
  KvShape shape() const noexcept override { return shape_; }
  KeyForm key_form() const noexcept override { return KeyForm::rotated; }
  MassSink* mass_sink() const noexcept override { return watches_ ? const_cast<Observed*>(this) : nullptr; }
  void append(const ChunkView& chunk, const NewRows& rows) override {
    rows_->append(0, chunk.positions, rows);
  }
  void clear(int sequence) override { rows_->clear(sequence); }
  int rows(int sequence, int kv_head) const noexcept override { return rows_->rows(sequence, kv_head); }
  int tiles(int, int) const noexcept override { return (rows(0, 0) + kRows - 1) / kRows; }
  KvTile tile(int, int, int index, TileScratch& scratch) const noexcept override {
    const int first = (tiles(0, 0) - 1 - index) * kRows;
    KvTile tile = rows_->tile(0, 0, first / kTileRows, scratch);
    const int inside = first % kTileRows;
    const int count = std::min(kRows, tile.rows() - inside);
    tile.keys = tile.keys.slice(inside, count);
    tile.values = tile.values.slice(inside, count);
    tile.positions = tile.positions.subspan(inside, count);
    tile.range = {tile.positions.front(), tile.positions.back()};
    if (index % 5 < 2) tile.query_cap = 100;
    return tile;
  }
  std::size_t bytes() const noexcept override { return rows_->bytes(); }

  Position first_query(int) const noexcept override { return 0; }
  void add(int, int kv_head, std::span<const float> mass) noexcept override {
    EXPECT_EQ(kv_head, 0);
    EXPECT_EQ(static_cast<int>(mass.size()), rows(0, 0));
    for (const float of_row : mass) total += of_row;
  }
  double total = 0;

 private:
  static constexpr int kRows = 16;
  std::unique_ptr<KvRows> rows_;
  KvShape shape_;
  bool watches_;
};

TEST(Mla, GathersSmallTilesInAnyOrderWithTheirCaps) {
  const std::vector<float> input = Stream(kSeed).normals(std::int64_t{170} * kHidden);
  const auto run = [&](const std::string& form) {
    const VariantSpec spec{.attention = "mla", .options = Latent{}.options(form), .context = context(4, 4)};
    const KvShape shape = plugins().attention(spec.attention, spec.options, spec.context)->kv_shape();
    Variant layer(spec, rope(8), std::make_unique<Observed>(f32_rows(shape, 1, 0), shape, false));
    return layer.feed_pieces({130, 40}, input);
  };
  EXPECT_LT(normalised_error(run("expanded"), run("absorbed")), kTolerance) << "seed " << kSeed;
}

TEST(Mla, TellsACacheThatAsksTheMassOfItsRowsInEveryForm) {
  const std::vector<float> input = Stream(kSeed).normals(std::int64_t{75} * kHidden);
  for (const std::string form : {"auto", "expanded", "absorbed"}) {
    const VariantSpec spec{.attention = "mla", .options = Latent{}.options(form), .context = context(4, 4)};
    const KvShape shape = plugins().attention(spec.attention, spec.options, spec.context)->kv_shape();
    auto cache = std::make_unique<Observed>(f32_rows(shape, 1, 0), shape, true);
    const Observed& observed = *cache;
    Variant layer(spec, rope(8), std::move(cache));
    layer.feed_pieces({70, 1, 4}, input);
    EXPECT_NEAR(observed.total, 75 * 4, 1e-3) << form << ": queries x heads";
  }
}

TEST(Linear, KeepsAStateThatDoesNotGrow) {
  const auto state = [](int heads, int kv_heads, std::int64_t option) {
    return plugins().attention("linear", {{"kv_heads", option}}, context(heads, kv_heads))->state_floats();
  };
  EXPECT_EQ(state(8, 4, 0), 4 * (16 * 16 + 16)) << "of every kv head";
  EXPECT_EQ(state(8, 4, 1), 16 * 16 + 16);
  EXPECT_EQ(plugins().attention("linear", {}, context(8, 4))->kv_shape().kv_heads, 0);
  EXPECT_TRUE(traits("linear").provides.has(Feature::fixed_state));
  EXPECT_FALSE(traits("linear").provides.has(Feature::kv_rows));
  EXPECT_TRUE(traits("linear").excludes.has(Feature::score_bias));
  EXPECT_TRUE(traits("linear").excludes.has(Feature::length_dependent_rotation));
}

TEST(Linear, RefusesKvHeadsThatDoNotDivideTheHeads) {
  EXPECT_THROW(static_cast<void>(plugins().attention("linear", {{"kv_heads", std::int64_t{3}}}, context(8, 4))), Error);
}

// Far beyond the length of a test that a quadratic reference can follow.
TEST(Linear, AgreesInBothFormsAfterManyTokens) {
  constexpr int kTokens = 3000;
  const std::vector<float> input = Stream(kSeed).normals(std::int64_t{kTokens} * kHidden);
  const VariantSpec spec{.attention = "linear", .context = context(4, 2)};
  const std::vector<float> parallel = Variant(spec, rope(16)).feed({kTokens}, input);
  EXPECT_LT(normalised_error(Variant(spec, rope(16)).feed_pieces(std::vector<int>(kTokens, 1), input), parallel),
            kTolerance)
      << "seed " << kSeed;
}

}  // namespace
}  // namespace attnlab
