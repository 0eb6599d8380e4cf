// What `attnlab compose` says is what happens: every cell of the matrix that says yes runs, every cell that says no is
// refused where a model is made, with the same words. And the words themselves: each refusal names both sides, why, and
// a way out that is one.
#include <cmath>
#include <regex>

#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include "assembly/arm_model.h"
#include "assembly/compose.h"
#include "assembly/compression.h"
#include "assembly/feeding.h"
#include "reference/plugins.h"
#include "registry/composition.h"

namespace attnlab::experiment {
namespace {

using reference::plugins;

constexpr int kPrompt = 24;
constexpr int kSteps = 8;

model::ModelConfig tiny_model() {
  model::ModelConfig config;
  config.hidden_dim = 32;
  config.layers = 2;
  config.intermediate_dim = 32;
  config.heads = 4;
  config.kv_heads = 2;
  config.head_dim = 16;
  config.vocab_size = 61;
  config.max_positions = 64;
  config.rms_norm_eps = 1e-5F;
  config.rope_theta = 10000;
  config.initializer_range = 0.2;
  config.tie_word_embeddings = true;
  return config;
}

// Options with which components have something to do in 32 tokens; the others have their defaults.
std::string spelled(const std::string& id) {
  static const std::map<std::string, std::string> options{
      {"mla", "{kv_lora_rank: 24, qk_nope_head_dim: 16, qk_rope_head_dim: 8, v_head_dim: 12}"},
      {"window", "{window: 12}"},
      {"sink", "{sinks: 2, window: 10}"},
      {"h2o", "{heavy: 6, recent: 6}"},
      {"tova", "{budget: 12}"},
      {"snapkv", "{budget: 12, window: 4, kernel: 3}"},
      {"pyramidkv", "{budget: 12, window: 4, kernel: 3}"},
      {"adakv", "{budget: 12, window: 4, kernel: 3}"},
      {"keydiff", "{budget: 12}"},
      {"knorm", "{budget: 12}"},
      {"random", "{budget: 12}"},
      {"expected_attention", "{budget: 12, sinks: 2}"},
      {"quest", "{page: 4, budget: 8, dense_layers: 1}"},
      {"duo", "{streaming: [0], sinks: 2, window: 8}"},
      {"moba", "{block: 4, top_k: 2}"},
      {"nsa", "{block: 4, top_k: 3, window: 6}"},
  };
  const auto found = options.find(id);
  return found == options.end() ? id : fmt::format("{{{}: {}}}", id, found->second);
}

ComponentChoice choice(Kind kind, const std::string& text) {
  return choices(plugins(), kind, text, "test").front();
}

std::vector<ComponentChoice> all_of(Kind kind) {
  std::vector<ComponentChoice> all;
  for (const std::string& id : plugins().ids(kind)) all.push_back(choice(kind, spelled(id)));
  return all;
}

ResolvedArm resolved(const Composition& cell) {
  Arm arm;
  arm.attention.base = cell.attention;
  arm.position.base = cell.position;
  arm.cache.base = cell.cache;
  return resolve_arm(arm, tiny_model(), plugins());
}

bool is_finite(TensorView<const float, 2> rows) {
  return std::all_of(rows.data(), rows.data() + rows.elements(), [](float value) { return std::isfinite(value); });
}

// A prompt and some steps; empty where all went well.
std::string what_goes_wrong(const ResolvedArm& arm) {
  try {
    model::Decoder decoder = build_decoder(arm, ModelSource::from_seed(tiny_model()), plugins(), {.seed = 3});
    model::Session session = decoder.make_session(1, kPrompt + kSteps);
    std::vector<model::TokenId> tokens;
    for (int i = 0; i < kPrompt + kSteps; ++i) tokens.push_back(i * 17 % tiny_model().vocab_size);
    bool finite = true;
    feed_prompt(decoder, session, 0, std::span(tokens).first(kPrompt), kPrompt,
                [&](int, TensorView<const float, 2> hidden) { finite = finite && is_finite(hidden); });
    for (int step = 0; step < kSteps; ++step) {
      const model::SequenceTokens fed{
          .sequence = 0, .tokens = std::span(tokens).subspan(kPrompt + step, 1), .phase = Phase::decode};
      finite = is_finite(decoder.forward(session, {&fed, 1})) && finite;
    }
    return finite ? "" : "numbers that are not finite";
  } catch (const std::exception& error) {
    return error.what();
  }
}

class EveryColumnOfTheMatrix : public testing::TestWithParam<std::string> {};

TEST_P(EveryColumnOfTheMatrix, RunsWhereTheMatrixSaysYesAndIsRefusedWhereItSaysNo) {
  int yes = 0, no = 0;
  for (const ComponentChoice& attention : all_of(Kind::attention))
    for (const ComponentChoice& position : all_of(Kind::position))
      for (ComponentChoice cache : all_of(Kind::cache)) {
        cache.storage = default_choice(plugins().get(Kind::storage, GetParam(), ""));
        const Composition cell = compose(plugins(), attention, position, cache);
        const std::string name = attention.id + "/" + position.id + "/" + cache.id + "/" + GetParam();
        const ResolvedArm arm = resolved(cell);
        EXPECT_EQ(arm.conflicts, cell.conflicts) << name;
        ++(cell.conflicts.empty() ? yes : no);
        if (!cell.conflicts.empty()) continue;
        EXPECT_EQ(what_goes_wrong(arm), "") << name;
      }
  EXPECT_GT(yes, 20);
  EXPECT_GT(no, 20);
}

INSTANTIATE_TEST_SUITE_P(, EveryColumnOfTheMatrix, testing::ValuesIn(plugins().ids(Kind::storage)),
                         [](const auto& test) { return test.param; });

struct Refusal {
  std::string name;
  std::string attention, position, cache;
  std::vector<std::string> mentions;
  // The nearest combination that is sound, as the message offers it.
  std::string legal_attention, legal_position, legal_cache;
  friend std::ostream& operator<<(std::ostream& stream, const Refusal& refusal) { return stream << refusal.name; }
};

const std::string kDynamic = "{rope: {scaling: dynamic, factor: 4, original_max_position_embeddings: 16}}";
const std::string kLongrope =
    "{rope: {scaling: longrope, original_max_position_embeddings: 16, short_factor: [1, 1, 1, 1, 1, 1, 1, 1], "
    "long_factor: [1, 1, 2, 2, 3, 3, 4, 4]}}";

std::vector<Refusal> every_refusal() {
  const std::string baked = "the position is baked into keys and values";
  const std::string stale = "stored rotated keys go stale";
  const std::string groups = "rows that share the scales of a group can only go together";
  return {
      {"RenumberedRowsWithSines",
       "gqa",
       "sinusoidal",
       "{sink: {positions: renumbered}}",
       {"cache \"sink\"", "position \"sinusoidal\"", baked, "positions: original", "rope"},
       "gqa",
       "sinusoidal",
       "{sink: {positions: original}}"},
      {"RenumberedRowsWithATable",
       "gqa",
       "learned",
       "{sink: {positions: renumbered}}",
       {"cache \"sink\"", "position \"learned\"", baked, "positions: original", "rope"},
       "gqa",
       "rope",
       "{sink: {positions: renumbered}}"},
      {"DynamicAnglesInRotatedKeys",
       "gqa",
       kDynamic,
       "{full: {keys: rotated}}",
       {"cache \"full\"", "position \"rope\"", stale, "keys: auto"},
       "gqa",
       kDynamic,
       "{full: {keys: unrotated}}"},
      {"LongropeInRotatedKeys",
       "gqa",
       kLongrope,
       "{window: {window: 12, keys: rotated}}",
       {"cache \"window\"", "position \"rope\"", stale, "keys: auto"},
       "gqa",
       kLongrope,
       "{window: {window: 12, keys: auto}}"},
      {"APolicyWithoutRows",
       "linear",
       "rope",
       "{window: {window: 12}}",
       {"cache \"window\" needs kv_rows", "attention \"linear\" does not provide"},
       "linear",
       "rope",
       "full"},
      {"MassOfALayerWithoutRows",
       "linear",
       "rope",
       "{tova: {budget: 12}}",
       {"cache \"tova\" needs attention_mass", "cache \"tova\" needs kv_rows", "attention \"linear\""},
       "gqa",
       "rope",
       "{tova: {budget: 12}}"},
      {"KiviUnderHeavyHitters",
       "gqa",
       "rope",
       "{h2o: {heavy: 6, recent: 6, storage: kivi}}",
       {"storage \"kivi\"", "cache \"h2o\"", "drops single rows", groups, "use cache full", "or storage bf16, f32"},
       "gqa",
       "rope",
       "{h2o: {heavy: 6, recent: 6, storage: int4}}"},
      {"KiviUnderAWindow",
       "mla",
       "none",
       "{window: {window: 12, storage: {kivi: {bits: 2}}}}",
       {"storage \"kivi\"", "cache \"window\"", "drops single rows", groups, "use cache full", "or storage bf16, f32"},
       "mla",
       "none",
       "{full: {storage: {kivi: {bits: 2}}}}"},
      {"QuestOnUnrotatedKeys",
       "gqa",
       "rope",
       "{quest: {keys: unrotated}}",
       {"\"quest\"", "keys are stored without rotation", "keys: rotated"},
       "gqa",
       "rope",
       "{quest: {keys: rotated}}"},
      {"QuestOnKeysThatMustBeUnrotated",
       "gqa",
       kDynamic,
       "quest",
       {"\"quest\"", "keys are stored without rotation", "use `scaling: none`"},
       "gqa",
       "rope",
       "quest"},
      {"BlocksOfRowsThatMayBeGone",
       "moba",
       "rope",
       "{window: {window: 12}}",
       {"attention \"moba\"", "cache \"window\"", "it drops rows that a later query may choose", "use cache full"},
       "moba",
       "rope",
       "full"},
      {"BlocksOfRowsThatAreNotRead",
       "moba",
       "rope",
       "quest",
       {"attention \"moba\"", "cache \"quest\"", "some of its rows only", "use cache full"},
       "moba",
       "rope",
       "full"},
      {"SomeRowsWithoutASoftmax",
       "sigmoid",
       "rope",
       "quest",
       {"attention \"sigmoid\"", "cache \"quest\"", "some of its rows only", "use cache expected_attention", "window"},
       "gqa",
       "rope",
       "quest"},
      {"HeadsThatTalkOverDifferentRows",
       "talking_heads",
       "rope",
       "{duo: {streaming: [1], sinks: 2, window: 8}}",
       {"attention \"talking_heads\"", "cache \"duo\"", "each kv head keeps rows of its own"},
       "talking_heads",
       "rope",
       "{sink: {sinks: 2, window: 8}}"},
      {"MassOfAWeightingThatIsNoSoftmax",
       "entmax",
       "rope",
       "{h2o: {heavy: 6, recent: 6}}",
       {"cache \"h2o\" needs attention_mass", "attention \"entmax\" does not provide"},
       "entmax",
       "rope",
       "{knorm: {budget: 12}}"},
      {"ABiasWithoutScores",
       "linear",
       "alibi",
       "full",
       {"attention \"linear\"", "position \"alibi\"", "it adds to scores, of which there are none", "rope"},
       "linear",
       "xpos",
       "full"},
  };
}

// Of "...; use `scaling: none`, or position none or rope": each component by its kind.
std::vector<std::pair<Kind, std::string>> named_ways_out(const std::string& conflict) {
  static const std::regex of_kind(
      "(?:use|, or) (attention|position|cache|storage) ((?:[a-z0-9_]+(?:, (?!or)| or |))+)");
  static const std::regex name("[a-z0-9_]+");
  std::vector<std::pair<Kind, std::string>> all;
  const std::string ways = conflict.substr(std::min(conflict.find("; use "), conflict.size()));
  for (std::sregex_iterator kind(ways.begin(), ways.end(), of_kind), end; kind != end; ++kind) {
    const std::string names = (*kind)[2];
    for (std::sregex_iterator one(names.begin(), names.end(), name); one != end; ++one)
      if (one->str() != "or" && one->str() != "another")
        all.emplace_back(*std::ranges::find(kKinds, std::string_view((*kind)[1].str()), kind_name), one->str());
  }
  return all;
}

// With each component that the conflict names as a way out, nothing is said against this component any more.
void expect_ways_out(const std::string& conflict, const Composition& cell) {
  for (const auto& [kind, id] : named_ways_out(conflict)) {
    ComponentChoice attention = cell.attention, position = cell.position, cache = cell.cache;
    if (kind == Kind::attention) attention = choice(kind, id);
    if (kind == Kind::position) position = choice(kind, id);
    if (kind == Kind::cache) {
      cache = choice(kind, id);
      cache.storage = cell.cache.storage;
    }
    if (kind == Kind::storage) cache.storage = default_choice(plugins().get(kind, id, ""));
    for (const std::string& left : compose(plugins(), attention, position, cache).conflicts)
      EXPECT_EQ(left.find(component_name(kind, id)), std::string::npos) << conflict << "\n" << left;
  }
}

TEST(WaysOut, AreReadFromTheSentence) {
  EXPECT_EQ(named_ways_out("a or b; use `positions: original`, or position none, rope or xpos, or storage f32"),
            (std::vector<std::pair<Kind, std::string>>{
                {Kind::position, "none"}, {Kind::position, "rope"}, {Kind::position, "xpos"}, {Kind::storage, "f32"}}));
}

TEST(WaysOut, AreThereForEveryCombinationThatIsRefused) {
  for (const std::string& attention : plugins().ids(Kind::attention))
    for (const std::string& position : plugins().ids(Kind::position))
      for (const std::string& cache : plugins().ids(Kind::cache)) {
        const Composition cell = compose(plugins(), choice(Kind::attention, spelled(attention)),
                                         choice(Kind::position, position), choice(Kind::cache, spelled(cache)));
        for (const std::string& conflict : cell.conflicts) {
          EXPECT_NE(conflict.find("; use "), std::string::npos) << conflict;
          expect_ways_out(conflict, cell);
        }
      }
}

class EveryRefusal : public testing::TestWithParam<Refusal> {};

TEST_P(EveryRefusal, NamesBothSidesAndAWayOutThatIsOne) {
  const Refusal& refusal = GetParam();
  const Composition cell = compose(plugins(), choice(Kind::attention, refusal.attention),
                                   choice(Kind::position, refusal.position), choice(Kind::cache, refusal.cache));
  ASSERT_FALSE(cell.conflicts.empty()) << "not refused";
  const std::string text = fmt::format("{}", fmt::join(cell.conflicts, "\n"));
  for (const std::string& part : refusal.mentions)
    EXPECT_NE(text.find(part), std::string::npos) << '"' << part << "\" is not in: " << text;
  EXPECT_EQ(resolved(cell).conflicts, cell.conflicts);
  for (const std::string& conflict : cell.conflicts) expect_ways_out(conflict, cell);
  const Composition legal =
      compose(plugins(), choice(Kind::attention, refusal.legal_attention),
              choice(Kind::position, refusal.legal_position), choice(Kind::cache, refusal.legal_cache));
  EXPECT_EQ(fmt::format("{}", fmt::join(legal.conflicts, "\n")), "");
}

INSTANTIATE_TEST_SUITE_P(, EveryRefusal, testing::ValuesIn(every_refusal()),
                         [](const auto& test) { return test.param.name; });

// Whole groups could be evicted; they are not, so no policy that drops rows stands on kivi, and all others do.
TEST(LatentAttention, TakesItsWidthsFromTheModelUnlessTheArmGivesThem) {
  model::ModelConfig config = tiny_model();
  config.latent_dims = {{"kv_lora_rank", 24}, {"qk_nope_head_dim", 16}, {"qk_rope_head_dim", 8}, {"v_head_dim", 12}};
  const auto widths = [&](const std::string& attention) {
    Arm arm;
    arm.attention.base = choice(Kind::attention, attention);
    arm.position.base = choice(Kind::position, "rope");
    arm.cache.base = choice(Kind::cache, "full");
    model::Decoder decoder =
        build_decoder(resolve_arm(arm, config, plugins()), ModelSource::from_seed(config), plugins(), {.seed = 3});
    const KvShape shape = decoder.make_session(1, 8).shape(0);
    return std::vector<int>{shape.kv_heads, shape.key_dim, shape.value_dim, shape.rotation_width()};
  };
  EXPECT_EQ(widths("mla"), (std::vector<int>{1, 24 + 8, 24, 8}));
  EXPECT_EQ(widths("{mla: {kv_lora_rank: 40}}"), (std::vector<int>{1, 40 + 8, 40, 8}));
  EXPECT_EQ(widths("gqa"), (std::vector<int>{2, 16, 16, 16}));
  config.latent_dims["qk_rope_head_dim"] = 4;
  EXPECT_EQ(widths("mla"), (std::vector<int>{1, 24 + 4, 24, 4}));
}

TEST(KiviStorage, IsRefusedByExactlyThePoliciesThatDropRows) {
  for (const std::string& id : plugins().ids(Kind::cache)) {
    ComponentChoice cache = choice(Kind::cache, spelled(id));
    const bool drops =
        plugins().traits(plugins().get(Kind::cache, id, ""), cache.options).provides.has(Feature::token_eviction);
    cache.storage = default_choice(plugins().get(Kind::storage, "kivi", ""));
    const Composition cell = compose(plugins(), choice(Kind::attention, "gqa"), choice(Kind::position, "rope"), cache);
    EXPECT_EQ(!cell.conflicts.empty(), drops) << id;
  }
}

TEST(Needs, ThatNobodyProvidesNameWhoAndWhat) {
  const auto only = [](std::vector<Part> parts) {
    const std::vector<std::string> found = conflicts(parts, plugins());
    return found.size() == 1 ? found.front() : fmt::format("{} conflicts", found.size());
  };
  const Part rope{Kind::position, "rope", {}};
  const Part full{Kind::cache, "full", {}};
  EXPECT_EQ(only({{Kind::attention, "mine", {.needs = {Feature::renumbered_positions}}}, rope, full}),
            "attention \"mine\" needs renumbered_positions, which none of the arm's components provides");
  EXPECT_EQ(only({{Kind::attention, "yours", {.provides = {Feature::kv_rows}}},
                  rope,
                  {Kind::cache, "mine", {.needs = {Feature::kv_rows, Feature::attention_mass}}}}),
            "cache \"mine\" needs attention_mass, which attention \"yours\" does not provide");
  // A part's own offer does not count as another part's.
  const Traits both{.provides = {Feature::fixed_state}, .needs = {Feature::fixed_state}};
  EXPECT_EQ(only({{Kind::attention, "mine", both}, rope}),
            "attention \"mine\" needs fixed_state, which none of the arm's components provides");
}

LayeredChoice layered(Kind kind, const std::string& text) {
  return parse_layered(kind, text, "test", lookup_in(plugins()));
}

TEST(Schedules, RefuseAPolicyOnlyForLayersWithoutRows) {
  Arm arm;
  arm.attention = layered(Kind::attention, "{linear: {}, layers: {\"1\": gqa}}");
  arm.position = layered(Kind::position, "rope");
  arm.cache = layered(Kind::cache, "{h2o: {heavy: 6, recent: 6}}");
  const ResolvedArm refused = resolve_arm(arm, tiny_model(), plugins());
  const std::string text = fmt::format("{}", fmt::join(refused.conflicts, "\n"));
  EXPECT_NE(text.find("cache \"h2o\" needs kv_rows, which attention \"linear\" does not provide"), std::string::npos)
      << text;
  EXPECT_EQ(text.find("gqa"), std::string::npos) << text;
  arm.cache = layered(Kind::cache, "{full: {}, layers: {\"1\": {h2o: {heavy: 6, recent: 6}}}}");
  const ResolvedArm taken = resolve_arm(arm, tiny_model(), plugins());
  EXPECT_TRUE(taken.conflicts.empty()) << taken.conflicts.front();
  EXPECT_EQ(what_goes_wrong(taken), "");
}

struct Note {
  std::string name;
  std::string attention, cache;
  std::vector<std::string> mentions;
  std::string silent_attention, silent_cache;  // of which the same is not said
  friend std::ostream& operator<<(std::ostream& stream, const Note& note) { return stream << note.name; }
};

std::vector<Note> every_note() {
  const std::string one = "one decision for all heads";
  const std::string mass = "decides by the mass that";
  const std::string never = "never evicts a row that is seen";
  return {
      {"PerHeadEvictionWithOneHead", "mqa", "knorm", {"cache \"knorm\"", "attention \"mqa\"", one}, "mqa", "window"},
      {"PerHeadEvictionWithLatents", spelled("mla"), "h2o", {"cache \"h2o\"", "attention \"mla\"", one}, "gqa", "h2o"},
      {"PerHeadEvictionWithOneOfGroups",
       "{gqa: {kv_heads: 1}}",
       "random",
       {"cache \"random\"", "attention \"gqa\"", one},
       "{gqa: {kv_heads: 2}}",
       "random"},
      {"MassOfTwoMaps",
       "differential",
       "tova",
       {"cache \"tova\"", "attention \"differential\"", mass},
       "differential",
       "keydiff"},
      {"MassBesideASink",
       "{gqa: {sink_logit: true}}",
       "snapkv",
       {"cache \"snapkv\"", "attention \"gqa\"", mass},
       "gqa",
       "snapkv"},
      {"ABudgetOfTheWindow",
       "{gqa: {window: 64}}",
       "{tova: {budget: 64}}",
       {"attention \"gqa\" sees 64 tokens", "cache \"tova\" keeps 64", never},
       "{gqa: {window: 64}}",
       "{tova: {budget: 63}}"},
      {"AWindowUnderAWindow",
       "{mha: {window: 8}}",
       "{window: {window: 9}}",
       {"attention \"mha\" sees 8 tokens", "cache \"window\" keeps 9", never},
       "{mha: {window: 0}}",
       "{window: {window: 9}}"},
      {"TwoBudgetsOfTheWindow",
       "{mqa: {window: 64}}",
       "{h2o: {heavy: 40, recent: 24}}",
       {"attention \"mqa\" sees 64 tokens", "cache \"h2o\" keeps 64", never},
       "{mqa: {window: 64}}",
       "{h2o: {heavy: 40, recent: 23}}"},
      {"AShareOfTheWindow",
       "{gqa: {window: 64}}",
       "{knorm: {budget: 25%}}",
       {"attention \"gqa\" sees 64 tokens", "cache \"knorm\" keeps 128", never},
       "{gqa: {window: 129}}",
       "{knorm: {budget: 25%}}"},
      {"SinksBesideAWindow",
       "{gqa: {window: 64}}",
       "{sink: {sinks: 4, window: 64}}",
       {"attention \"gqa\" sees 64 tokens", "cache \"sink\" keeps 68", never},
       "{gqa: {window: 65}}",  // the oldest key that is seen lies between sinks and window
       "{sink: {sinks: 4, window: 64}}"},
  };
}

class EveryNote : public testing::TestWithParam<Note> {};

TEST_P(EveryNote, NamesBothSidesAndIsSaidOnlyWhereItIsSo) {
  const Note& note = GetParam();
  const auto notes_of = [](const std::string& attention, const std::string& cache) {
    const ResolvedArm arm = resolved(compose(plugins(), choice(Kind::attention, attention),
                                             choice(Kind::position, "rope"), choice(Kind::cache, cache)));
    EXPECT_TRUE(arm.conflicts.empty()) << arm.conflicts.front();
    model::Decoder decoder = build_decoder(arm, ModelSource::from_seed(tiny_model()), plugins(), {});
    model::Session session = decoder.make_session(1, 512);
    const std::vector<std::string> idle = idle_notes(arm, decoder, session);
    return fmt::format("{}\n{}", fmt::join(arm.notes, "\n"), fmt::join(idle, "\n"));
  };
  const std::string text = notes_of(note.attention, note.cache);
  for (const std::string& part : note.mentions)
    EXPECT_NE(text.find(part), std::string::npos) << '"' << part << "\" is not in: " << text;
  const std::string silent = notes_of(note.silent_attention, note.silent_cache);
  EXPECT_EQ(silent.find(note.mentions.back()), std::string::npos) << silent;
}

INSTANTIATE_TEST_SUITE_P(, EveryNote, testing::ValuesIn(every_note()),
                         [](const auto& test) { return test.param.name; });

TEST(Lengths, BeyondTheTrainedOneAreAWarningAndBeyondATableAnError) {
  const auto decoder = [](const std::string& position) {
    return build_decoder(resolved(compose(plugins(), choice(Kind::attention, "gqa"), choice(Kind::position, position),
                                          choice(Kind::cache, "full"))),
                         ModelSource::from_seed(tiny_model()), plugins(), {});
  };
  EXPECT_FALSE(decoder("rope").check_length(64));
  const auto warning = decoder("rope").check_length(65);
  ASSERT_TRUE(warning);
  EXPECT_NE(warning->find("64"), std::string::npos) << *warning;
  EXPECT_THROW((void)decoder("learned").check_length(65), Error);
}

}  // namespace
}  // namespace attnlab::experiment
