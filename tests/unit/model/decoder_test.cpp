// A pass that fails changes nothing: what is wrong with its input is found before any state moves, and the session goes
// on as if it had never been tried. What fails between the layers cannot be taken back, and is never built upon.
#include "model/decoder.h"

#include <gtest/gtest.h>

#include <attnlab/error.h>

#include "reference/plugins.h"
#include "reference/storage_spec.h"

namespace attnlab::model {
namespace {

using reference::plugins;

constexpr int kVocab = 61;
constexpr int kPositions = 24;
constexpr int kLayers = 3;

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

// gqa that fails after its work is done, when it is told to.
class Failing final : public AttentionVariant {
 public:
  Failing(std::unique_ptr<AttentionVariant> inner, const bool& fails) : inner_(std::move(inner)), fails_(fails) {}
  std::vector<ParameterSpec> parameters() const override { return inner_->parameters(); }
  void bind(const ParameterSet& parameters) override { inner_->bind(parameters); }
  KvShape kv_shape() const override { return inner_->kv_shape(); }
  void forward(const LayerContext& layer, TensorView<const float, 2> hidden, TensorView<float, 2> out) override {
    inner_->forward(layer, hidden, out);
    if (fails_) throw Error("", "told to fail");
  }

 private:
  std::unique_ptr<AttentionVariant> inner_;
  const bool& fails_;
};

class DecoderPass : public testing::Test {
 protected:
  // The middle layer fails while `fails_` is set.
  Decoder decoder(const std::string& position = "none") {
    std::vector<LayerComponents> layers;
    for (int layer = 0; layer < kLayers; ++layer) {
      const CreateContext context{.layer = layer,
                                  .layers = kLayers,
                                  .hidden_dim = 32,
                                  .heads = 4,
                                  .kv_heads = 2,
                                  .head_dim = 8,
                                  .max_positions = kPositions};
      LayerComponents& components = layers.emplace_back();
      components.attention = plugins().attention("gqa", {}, context);
      if (layer == 1) components.attention = std::make_unique<Failing>(std::move(components.attention), fails_);
      components.position = plugins().position(position, {}, context);
      components.cache = plugins().cache("h2o", {{"heavy", std::string("3")}, {"recent", std::string("4")}}, context);
      components.make_rows = [](const KvShape& shape, int sequences, int capacity) {
        return make_rows(StorageSpec{}, shape, sequences, capacity);
      };
      components.row_bytes = [](const KvShape& shape) { return row_bytes(StorageSpec{}, shape); };
      components.list_bytes = [](const KvShape& shape, int rows) { return list_bytes(StorageSpec{}, shape, rows); };
    }
    return {config(), std::move(layers), WeightStore(7, config()), false};
  }

  // One pass over all sequences; the logits of every token.
  static std::vector<float> feed(Decoder& decoder, Session& session, const std::vector<std::vector<TokenId>>& tokens,
                                 Phase phase) {
    std::vector<SequenceTokens> input;
    for (std::size_t sequence = 0; sequence < tokens.size(); ++sequence)
      input.push_back({.sequence = static_cast<int>(sequence), .tokens = tokens[sequence], .phase = phase});
    const TensorView<const float, 2> hidden = decoder.forward(session, input);
    std::vector<float> logits(static_cast<std::size_t>(hidden.extent(0)) * kVocab);
    decoder.logits(hidden, {logits.data(), {hidden.extent(0), kVocab}});
    return logits;
  }
  static std::string refusal(const std::function<void()>& call) {
    try {
      call();
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }
  static void expect_same_counts(const Session& a, const Session& b) {
    for (int sequence = 0; sequence < a.sequences(); ++sequence) EXPECT_EQ(a.length(sequence), b.length(sequence));
    EXPECT_EQ(a.live_rows(), b.live_rows());
    EXPECT_EQ(a.appended_rows(), b.appended_rows());
  }

  const std::vector<std::vector<TokenId>> prompts_{{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, {20, 21, 22, 23, 24}};
  bool fails_ = false;
};

TEST_F(DecoderPass, WithATokenOutsideTheVocabularyChangesNothing) {
  Decoder decoder = this->decoder();
  Session session = decoder.make_session(2, kPositions);
  Session untouched = decoder.make_session(2, kPositions);
  const auto expect_refused = [&](TokenId bad, Phase phase) {
    for (const std::vector<std::vector<TokenId>>& tokens :
         {std::vector<std::vector<TokenId>>{{bad}, {3}}, {{4}, {bad}}, {{4, 5, bad, 6}, {3}}, {{4, 5}, {3, bad}}})
      EXPECT_EQ(refusal([&] { feed(decoder, session, tokens, phase); }),
                "token id " + std::to_string(bad) + " is outside the vocabulary of 61");
    expect_same_counts(session, untouched);
  };
  expect_refused(kVocab, Phase::last_prefill);  // before there is anything
  EXPECT_EQ(feed(decoder, session, prompts_, Phase::last_prefill),
            feed(decoder, untouched, prompts_, Phase::last_prefill));
  for (TokenId step = 0; step < 6; ++step) {
    expect_refused(step % 2 == 0 ? -1 : kVocab + step, Phase::decode);
    const std::vector<std::vector<TokenId>> tokens{{step}, {static_cast<TokenId>(step + 30)}};
    EXPECT_EQ(feed(decoder, session, tokens, Phase::decode), feed(decoder, untouched, tokens, Phase::decode)) << step;
    expect_same_counts(session, untouched);
  }
}

TEST_F(DecoderPass, BeyondThePositionsOfASchemeChangesNothing) {
  for (const char* position : {"learned", "sinusoidal"}) {
    Decoder decoder = this->decoder(position);
    Session session = decoder.make_session(2, kPositions);
    Session untouched = decoder.make_session(2, kPositions);
    feed(decoder, session, prompts_, Phase::last_prefill);
    feed(decoder, untouched, prompts_, Phase::last_prefill);
    const std::vector<TokenId> too_many(kPositions - 10 + 1, 7);  // of a sequence of 10
    EXPECT_EQ(refusal([&] {
                feed(decoder, session, {too_many, {3}}, Phase::decode);
              }),
              "a sequence of 25 tokens is longer than the 24 positions of the position scheme; use at most 24 tokens");
    expect_same_counts(session, untouched);
    const std::vector<TokenId> as_many_as_fit(kPositions - 10, 7);
    EXPECT_EQ(feed(decoder, session, {as_many_as_fit, {3}}, Phase::decode),
              feed(decoder, untouched, {as_many_as_fit, {3}}, Phase::decode))
        << position;
  }
}

TEST_F(DecoderPass, ThatFailsBetweenLayersIsBuiltUponOnlyAfterClearOrRestore) {
  Decoder decoder = this->decoder();
  Session session = decoder.make_session(2, kPositions);
  Session untouched = decoder.make_session(2, kPositions);
  const std::vector<float> right = feed(decoder, session, prompts_, Phase::last_prefill);
  feed(decoder, untouched, prompts_, Phase::last_prefill);
  std::vector<StateWriter> saved(2);
  for (int sequence = 0; sequence < 2; ++sequence) session.save(sequence, saved[sequence]);

  const std::vector<std::vector<TokenId>> step{{5}, {6}};
  fails_ = true;
  EXPECT_EQ(refusal([&] { feed(decoder, session, step, Phase::decode); }), "told to fail");
  fails_ = false;
  EXPECT_EQ(session.length(0), 10);
  const std::string halfway =
      "sequence 0 was left halfway by a pass that failed; clear the session, or restore the sequence from a state that "
      "was saved before";
  EXPECT_EQ(refusal([&] { feed(decoder, session, step, Phase::decode); }), halfway);
  EXPECT_EQ(refusal([&] {
              StateWriter state;
              session.save(0, state);
            }),
            halfway);
  EXPECT_EQ(refusal([&] {
              decoder.fill(session, std::vector<int>{12, 12}, std::vector<int>{12, 12}, [](int, const auto&) {});
            }),
            halfway);

  for (int sequence = 0; sequence < 2; ++sequence) {
    StateReader state(saved[sequence].bytes());
    session.restore(sequence, state);
  }
  EXPECT_EQ(feed(decoder, session, step, Phase::decode), feed(decoder, untouched, step, Phase::decode));

  fails_ = true;
  EXPECT_EQ(refusal([&] { feed(decoder, session, step, Phase::decode); }), "told to fail");
  fails_ = false;
  session.clear();
  EXPECT_EQ(feed(decoder, session, prompts_, Phase::last_prefill), right);
}

// A state that ends too early leaves the sequence refused, not half restored.
TEST_F(DecoderPass, IsRefusedAfterARestoreThatFailed) {
  Decoder decoder = this->decoder();
  Session session = decoder.make_session(2, kPositions);
  feed(decoder, session, prompts_, Phase::last_prefill);
  StateWriter saved;
  session.save(0, saved);
  const std::vector<std::vector<TokenId>> step{{5}, {6}};
  const std::vector<float> right = feed(decoder, session, step, Phase::decode);
  StateReader cut(saved.bytes().first(saved.bytes().size() / 2));
  EXPECT_NE(refusal([&] { session.restore(0, cut); }), "no error");
  EXPECT_TRUE(refusal([&] { feed(decoder, session, step, Phase::decode); }).starts_with("sequence 0 was left halfway"));
  session.clear();
  feed(decoder, session, prompts_, Phase::last_prefill);
  EXPECT_EQ(feed(decoder, session, step, Phase::decode), right);
}

}  // namespace
}  // namespace attnlab::model
