// Sequences whose last tokens are taken back, and sequences that go on from others: the logits are those of a session
// that never saw those tokens, or was fed everything itself, to the bit. What cannot be done is refused.
#include <gtest/gtest.h>

#include <attnlab/error.h>

#include "model/decoder.h"
#include "reference/plugins.h"
#include "reference/storage_spec.h"
#include "steps/checking_steps.h"

namespace attnlab::model {
namespace {

using reference::plugins;
using Tokens = std::vector<TokenId>;
using Batch = std::vector<std::pair<int, Tokens>>;  // of sequences

constexpr int kVocab = 61;
constexpr int kLayers = 2;
constexpr int kPositions = 256;

struct Parts {
  std::string attention = "gqa";
  OptionValues attention_options = {};
  std::string cache = "full";
  OptionValues cache_options = {};
  StorageSpec storage = {};
  std::string cache_of_last = {};  // of the last layer; empty: the same
  friend std::ostream& operator<<(std::ostream& stream, const Parts& parts) {
    return stream << parts.attention << ", " << parts.cache << ", " << parts.storage.text();
  }
};

ModelConfig config() {
  ModelConfig config;
  config.hidden_dim = 32;
  config.layers = kLayers;
  config.intermediate_dim = 32;
  config.heads = 4;
  config.kv_heads = 2;
  config.head_dim = 8;
  config.vocab_size = kVocab;
  config.max_positions = kPositions;
  config.rms_norm_eps = 1e-5F;
  config.initializer_range = 0.2;
  config.tie_word_embeddings = true;
  return config;
}

Decoder decoder_of(const Parts& parts) {
  std::vector<LayerComponents> layers;
  for (int layer = 0; layer < kLayers; ++layer) {
    const CreateContext context{.layer = layer,
                                .layers = kLayers,
                                .hidden_dim = 32,
                                .heads = 4,
                                .kv_heads = 2,
                                .head_dim = 8,
                                .max_positions = kPositions,
                                .rms_norm_eps = 1e-5F};
    LayerComponents& components = layers.emplace_back();
    components.attention = plugins().attention(parts.attention, parts.attention_options, context);
    components.position = plugins().position("rope", {}, context);
    const bool is_other = layer + 1 == kLayers && !parts.cache_of_last.empty();
    components.cache = plugins().cache(is_other ? parts.cache_of_last : parts.cache,
                                       is_other ? OptionValues{} : parts.cache_options, context);
    components.make_rows = [storage = parts.storage](const KvShape& shape, int sequences, int capacity) {
      return make_rows(storage, shape, sequences, capacity);
    };
    components.row_bytes = [storage = parts.storage](const KvShape& shape) { return row_bytes(storage, shape); };
    components.list_bytes = [storage = parts.storage](const KvShape& shape, int rows) {
      return list_bytes(storage, shape, rows);
    };
    if (components.attention->kv_shape().kv_heads > 0)
      components.row_step = row_storage(parts.storage).row_step(components.attention->kv_shape());
  }
  return {config(), std::move(layers), WeightStore(7, config()), false};
}

Tokens tokens(int count, int seed) {
  Tokens all;
  for (int i = 0; i < count; ++i) all.push_back((i * 7 + seed * 13 + i * i % 11) % kVocab);
  return all;
}

// One pass; the logits of every token.
std::vector<float> feed(Decoder& decoder, Session& session, const Batch& batch, Phase phase = Phase::decode) {
  std::vector<SequenceTokens> input;
  for (const auto& [sequence, fed] : batch) input.push_back({.sequence = sequence, .tokens = fed, .phase = phase});
  const TensorView<const float, 2> hidden = decoder.forward(session, input);
  std::vector<float> logits(static_cast<std::size_t>(hidden.extent(0)) * kVocab);
  decoder.logits(hidden, {logits.data(), {hidden.extent(0), kVocab}});
  return logits;
}

std::string refusal(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

void expect_refused(const std::function<void()>& call, const std::string& what) {
  const std::string said = refusal(call);
  EXPECT_NE(said.find(what), std::string::npos) << said;
}

class EveryArmThatGoesBack : public testing::TestWithParam<Parts> {};

TEST_P(EveryArmThatGoesBack, AnswersAsIfItHadNeverSeenTheTokens) {
  Decoder decoder = decoder_of(GetParam());
  Session session = decoder.make_session(2, kPositions);
  Session never = decoder.make_session(2, kPositions);
  for (Session* each : {&session, &never})
    feed(decoder, *each, {{0, tokens(70, 1)}, {1, tokens(20, 2)}}, Phase::last_prefill);
  for (int round = 0; round < 4; ++round) {
    // Guesses of one sequence, all of which are rejected, and of which some are accepted.
    const int length = session.length(0);
    const Tokens guess = tokens(1 + 20 * round, 30 + round);
    feed(decoder, session, {{0, guess}});
    session.truncate(0, length);
    EXPECT_EQ(session.length(0), length);
    EXPECT_EQ(session.live_rows(), never.live_rows());
    const Batch step{{0, tokens(1, 50 + round)}, {1, tokens(1, 60 + round)}};
    EXPECT_EQ(feed(decoder, session, step), feed(decoder, never, step)) << "round " << round;
  }
  session.truncate(1, session.length(1));  // nothing to take back
  const Batch more{{0, tokens(40, 3)}, {1, tokens(3, 4)}};
  EXPECT_EQ(feed(decoder, session, more), feed(decoder, never, more));
}

INSTANTIATE_TEST_SUITE_P(
    , EveryArmThatGoesBack,
    testing::Values(
        Parts{}, Parts{.storage = {.keys = "int8", .values = "int4"}},
        Parts{.storage = {.keys = "bf16", .values = "bf16", .page = 16}},
        Parts{.cache = "window", .cache_options = {{"window", std::string("250")}}},
        Parts{.cache = "sink", .cache_options = {{"window", std::string("250")}}},
        Parts{.cache = "duo", .cache_options = {{"streaming", std::vector<std::int64_t>{1}}}},
        Parts{.attention = "moba", .attention_options = {{"block", std::int64_t{8}}, {"top_k", std::int64_t{2}}}},
        Parts{.attention = "nsa", .attention_options = {{"block", std::int64_t{8}}, {"top_k", std::int64_t{3}}}},
        Parts{.attention = "cross_layer", .attention_options = {{"share", std::int64_t{2}}}},
        Parts{.attention = "value_residual"}, Parts{.attention = "differential"}, Parts{.attention = "entmax"}));

TEST(TruncatedSessions, OfAStateOrAPolicyThatCannotGoBackAreRefusedAndGoOn) {
  struct Case {
    Parts parts;
    std::string said;
  };
  const std::string counts = "what the policy keeps of tokens that are to go cannot be taken back";
  const std::vector<Case> cases{
      {{.attention = "linear"}, "the attention of layer 0 keeps a state, from which no token can be taken back"},
      {{.attention = "gla"}, "the attention of layer 0 keeps a state"},
      {{.attention = "forgetting"}, "the attention of layer 0 keeps a state"},
      {{.cache = "h2o"}, counts},
      {{.cache = "quest"}, "this cache cannot take tokens back"},
      {{.cache = "window", .cache_options = {{"window", std::string("8")}}}, "dropped or replaced rows"},
      {{.cache = "sink", .cache_options = {{"window", std::string("8")}}}, "dropped or replaced rows"},
      {{.cache = "duo",
        .cache_options = {{"streaming", std::vector<std::int64_t>{0, 1}},
                          {"window", std::int64_t{8}},
                          {"sinks", std::int64_t{2}}}},
       "dropped or replaced rows"},
      {{.cache = "knorm", .cache_options = {{"budget", std::string("8")}}}, counts}};
  for (const auto& [parts, said] : cases) {
    SCOPED_TRACE(testing::Message() << parts);
    Decoder decoder = decoder_of(parts);
    Session session = decoder.make_session(1, kPositions);
    Session untouched = decoder.make_session(1, kPositions);
    for (Session* each : {&session, &untouched}) {
      feed(decoder, *each, {{0, tokens(30, 1)}}, Phase::last_prefill);
      feed(decoder, *each, {{0, tokens(4, 2)}});
    }
    expect_refused([&] { session.truncate(0, 31); }, said);
    EXPECT_EQ(session.length(0), 34);
    EXPECT_EQ(feed(decoder, session, {{0, tokens(2, 3)}}), feed(decoder, untouched, {{0, tokens(2, 3)}}));
  }
}

TEST(TruncatedSessions, ComeToNoLengthThatTheyHaveNot) {
  Decoder decoder = decoder_of({});
  Session session = decoder.make_session(1, kPositions);
  feed(decoder, session, {{0, tokens(5, 1)}}, Phase::last_prefill);
  for (const int length : {-1, 6})
    EXPECT_EQ(refusal([&] { session.truncate(0, length); }),
              "sequence 0 has 5 tokens and cannot be cut to " + std::to_string(length) + "; give a length of 0 to 5");
  session.truncate(0, 0);
  EXPECT_EQ(session.live_rows(), 0);
}

// One layer has gone back when the next one refuses: the sequence is not built upon.
TEST(TruncatedSessions, OfWhichSomeLayersCannotGoBackAreBuiltUponOnlyAfterClear) {
  Decoder decoder = decoder_of({.cache_of_last = "h2o"});
  Session session = decoder.make_session(1, kPositions);
  const std::vector<float> right = feed(decoder, session, {{0, tokens(9, 1)}}, Phase::last_prefill);
  expect_refused([&] { session.truncate(0, 5); }, "cannot be taken back");
  expect_refused([&] { feed(decoder, session, {{0, tokens(1, 2)}}); }, "sequence 0 was left halfway");
  session.clear();
  EXPECT_EQ(feed(decoder, session, {{0, tokens(9, 1)}}, Phase::last_prefill), right);
}

class EveryArmThatForks : public testing::TestWithParam<Parts> {};

TEST_P(EveryArmThatForks, AnswersAsIfEachSequenceHadBeenFedThePrefix) {
  Decoder decoder = decoder_of(GetParam());
  Session session = decoder.make_session(3, kPositions);
  Session apart = decoder.make_session(3, kPositions);
  const Tokens prefix = tokens(100, 1), step = tokens(1, 2);
  for (const int sequence : {0, 2}) {
    feed(decoder, apart, {{sequence, prefix}}, Phase::last_prefill);
    feed(decoder, apart, {{sequence, step}});
  }
  feed(decoder, session, {{0, prefix}}, Phase::last_prefill);
  feed(decoder, session, {{0, step}});
  session.fork(0, 2);
  EXPECT_EQ(session.length(2), 101);
  EXPECT_EQ(session.live_rows(), apart.live_rows());
  for (int round = 0; round < 5; ++round) {
    const Batch batch{{0, tokens(1 + round, 10 + round)}, {2, tokens(2, 20 + round)}};
    EXPECT_EQ(feed(decoder, session, batch), feed(decoder, apart, batch)) << "round " << round;
  }
  expect_refused([&] { session.fork(0, 2); }, "sequence 2 cannot continue sequence 0: it has 111 tokens of its own");
  expect_refused([&] { session.fork(1, 1); }, "name another sequence that is empty");
}

INSTANTIATE_TEST_SUITE_P(
    , EveryArmThatForks,
    testing::Values(
        Parts{}, Parts{.storage = {.keys = "int8", .values = "int4"}},
        Parts{.storage = {.keys = "bf16", .values = "bf16", .page = 16}},
        Parts{.storage = {.keys = "kivi", .values = "kivi"}},
        Parts{.cache = "window", .cache_options = {{"window", std::string("40")}}},
        Parts{.cache = "sink", .cache_options = {{"window", std::string("40")}}},
        Parts{.cache = "h2o", .cache_options = {{"heavy", std::string("20")}, {"recent", std::string("20")}}},
        Parts{.cache = "tova", .cache_options = {{"budget", std::string("40")}}},
        Parts{.cache = "snapkv", .cache_options = {{"budget", std::string("40")}}},
        Parts{.cache = "expected_attention", .cache_options = {{"budget", std::string("40")}}},
        Parts{.cache = "merge", .cache_options = {{"heavy", std::string("20")}, {"recent", std::string("20")}}},
        Parts{.cache = "duo",
              .cache_options = {{"streaming", std::vector<std::int64_t>{1}}, {"window", std::int64_t{20}}}},
        Parts{.cache = "quest", .cache_options = {{"budget", std::string("32")}}}, Parts{.attention = "linear"},
        Parts{.attention = "gated_delta"},
        Parts{.attention = "moba", .attention_options = {{"block", std::int64_t{8}}, {"top_k", std::int64_t{2}}}},
        Parts{.attention = "nsa", .attention_options = {{"block", std::int64_t{8}}, {"top_k", std::int64_t{3}}}},
        Parts{.attention = "cross_layer", .attention_options = {{"share", std::int64_t{2}}}},
        Parts{.attention = "forgetting"}));

TEST(ForkedSequences, ShareTheirRowsUntilTheyDiverge) {
  constexpr int kPrefix = 128;  // two pages of rows
  Decoder decoder = decoder_of({});
  Session session = decoder.make_session(2, kPositions);
  feed(decoder, session, {{0, tokens(kPrefix, 1)}}, Phase::last_prefill);
  const std::size_t alone = session.kv_bytes();
  session.fork(0, 1);
  const std::size_t positions = std::size_t{kLayers} * 2 * sizeof(Position);  // of a token, which each sequence has
  EXPECT_EQ(session.kv_bytes(), alone + kPrefix * positions);
  EXPECT_EQ(session.kv_bytes_nominal(), std::size_t{2} * kLayers * 2 * kPrefix * 2 * 8 * sizeof(float));
  feed(decoder, session, {{1, tokens(1, 2)}});
  const std::size_t page = std::size_t{kTileRows} * 2 * 8 * sizeof(float);  // keys and values of a kv head
  EXPECT_EQ(session.kv_bytes(), alone + (kPrefix + 1) * positions + kLayers * 2 * page) << "one page for the new token";
  session.truncate(1, kPrefix - 1);  // into the page that both have
  const std::size_t before = session.kv_bytes();
  feed(decoder, session, {{1, tokens(1, 3)}});
  EXPECT_EQ(session.kv_bytes(), before + positions) << "the page that was spare is now its own copy";
}

// The rows that are found later are compared with those that were appended, and with no others.
TEST(CheckedSessions, FollowWhatIsRestoredForkedAndTakenBack) {
  for (const StorageSpec& storage : {StorageSpec{}, StorageSpec{.keys = "int8", .values = "int8"}}) {
    Decoder decoder = decoder_of({.storage = storage});
    CheckingSteps steps(decoder.scratch(), [&](int layer) { return decoder.row_step(layer); });
    const WithSteps with(decoder, steps);
    Session session = decoder.make_session(2, kPositions);
    Session other = decoder.make_session(1, kPositions);
    StateWriter early, same_length;
    feed(decoder, session, {{0, tokens(20, 1)}}, Phase::last_prefill);
    session.save(0, early);
    feed(decoder, session, {{0, tokens(20, 2)}});
    feed(decoder, other, {{0, tokens(40, 3)}}, Phase::last_prefill);
    other.save(0, same_length);
    const auto expect_right = [&](const char* after) {
      feed(decoder, session, {{0, tokens(3, 4)}});
      EXPECT_LT(steps.largest().deviation, 1e-5) << storage.text() << ", " << after << ": " << steps.largest().text();
    };
    const auto restore = [&](const StateWriter& from) {
      StateReader state(from.bytes());
      session.restore(0, state);
    };
    restore(same_length);
    expect_right("rows of another session");
    restore(early);
    expect_right("rows of an earlier state");
    session.truncate(0, 15);
    expect_right("tokens taken back");
    feed(decoder, session, {{1, tokens(18, 5)}}, Phase::last_prefill);
    session.truncate(1, 0);
    session.fork(0, 1);
    feed(decoder, session, {{1, tokens(2, 6)}});
    expect_right("a fork into a sequence that had rows of its own");
    EXPECT_TRUE(steps.independent_steps().contains("rows"));
  }
}

}  // namespace
}  // namespace attnlab::model
