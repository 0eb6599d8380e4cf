// Continuations: scores are those of a session of its own for every choice, whatever the cache; the constructed recall
// model finds the value of a key likeliest; and everything that a file of questions can get wrong.
#include <gtest/gtest.h>

#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "assembly/arm_model.h"
#include "choices/layered_choice.h"
#include "model/constructed_recall.h"
#include "reference/plugins.h"
#include "tasks/recall_data.h"
#include "unit/model_test_files.h"
#include "workloads/continuation.h"

namespace attnlab::experiment {
namespace {

using model::TokenId;

const ModelSource& recall_model() {
  static const ModelSource source = ModelSource::from_code("recall");
  return source;
}

model::Decoder decoder_with(const std::string& cache) {
  const ComponentLookup lookup = lookup_in(reference::plugins());
  Arm arm;
  arm.attention = parse_layered(Kind::attention, "gqa", "--attention", lookup);
  arm.position = parse_layered(Kind::position, "rope", "--position", lookup);
  arm.cache = parse_layered(Kind::cache, cache, "--cache", lookup);
  return build_decoder(resolve_arm(arm, recall_model().config(), reference::plugins()), recall_model(),
                       reference::plugins(), {});
}

double value_of(const Measured& measured, std::string_view metric) {
  for (const report::Sample& sample : measured.samples)
    if (sample.metric == metric) return sample.value;
  return NAN;
}

// Pairs of keys 1 .. pairs and values 4096 + 3 key; each key is a question, its value the right one of four choices of
// one, two or three tokens.
std::vector<TokenText> texts_of_pairs(int pairs) {
  std::vector<TokenText> texts(2);
  for (int text = 0; text < 2; ++text) {
    const auto value = [&](int key) { return static_cast<TokenId>(4096 + 3 * key + text); };
    for (int key = 1; key <= pairs; ++key) {
      texts[text].prompt.push_back(key);
      texts[text].prompt.push_back(value(key));
    }
    for (int key = 1; key <= pairs; ++key) {
      TokenQuestion question{.question = {static_cast<TokenId>(key)}, .answer = key % 4};
      for (int choice = 0; choice < 4; ++choice) {
        TokenQuestion::Choice made;
        made.tokens.push_back(choice == question.answer ? value(key) : value((key + choice + 1) % pairs + 1) + 1);
        for (int more = 0; more < choice % 3; ++more) made.tokens.push_back(static_cast<TokenId>(7 + more));
        made.bytes = 1.0 + 2 * choice;
        question.choices.push_back(made);
      }
      texts[text].questions.push_back(question);
    }
  }
  return texts;
}

// The slow way: every choice in a session of its own.
std::pair<double, double> accuracies(model::Decoder& decoder, const std::vector<TokenText>& texts, bool before) {
  double right = 0, right_by_sum = 0, questions = 0;
  for (const TokenText& text : texts)
    for (const TokenQuestion& question : text.questions) {
      std::vector<double> sums;
      for (const TokenQuestion::Choice& choice : question.choices) {
        std::vector<TokenId> prompt = text.prompt, rest;
        (before ? prompt : rest)
            .insert((before ? prompt : rest).end(), question.question.begin(), question.question.end());
        rest.insert(rest.end(), choice.tokens.begin(), choice.tokens.end());
        model::Session session = decoder.make_session(1, static_cast<int>(prompt.size() + rest.size()));
        std::vector<float> logits(decoder.config().vocab_size);
        const auto feed = [&](std::span<const TokenId> tokens, Phase phase) {
          const model::SequenceTokens fed{.sequence = 0, .tokens = tokens, .phase = phase};
          const auto hidden = decoder.forward(session, {&fed, 1});
          decoder.logits(hidden.slice(hidden.extent(0) - 1, 1), {logits.data(), {1, std::ssize(logits)}});
        };
        feed(prompt, Phase::last_prefill);
        double sum = 0;
        for (std::size_t i = 0; i < rest.size(); ++i) {
          if (i + choice.tokens.size() >= rest.size()) {
            double total = 0;
            for (const float logit : logits) total += std::exp(static_cast<double>(logit));
            sum += logits[rest[i]] - std::log(total);
          }
          feed({&rest[i], 1}, Phase::decode);
        }
        sums.push_back(sum);
      }
      const auto is_highest = [&](const auto& score) {
        for (std::size_t i = 0; i < sums.size(); ++i)
          if (static_cast<int>(i) != question.answer && score(i) >= score(question.answer)) return false;
        return true;
      };
      right += is_highest([&](std::size_t i) { return sums[i] / question.choices[i].bytes; }) ? 1 : 0;
      right_by_sum += is_highest([&](std::size_t i) { return sums[i]; }) ? 1 : 0;
      ++questions;
    }
  return {right / questions, right_by_sum / questions};
}

TEST(Continuation, ScoresEveryChoiceAsInASessionOfItsOwn) {
  const std::vector<TokenText> texts = texts_of_pairs(12);
  for (const char* cache :
       {"full", "{window: {window: 12}}", "{sink: {sinks: 2, window: 8}}", "{h2o: {heavy: 4, recent: 6}}",
        "{snapkv: {budget: 10, window: 4}}", "{full: {storage: int8}}"})
    for (const Query query : {Query::after, Query::before}) {
      SCOPED_TRACE(testing::Message() << cache << (query == Query::before ? ", before" : ""));
      model::Decoder decoder = decoder_with(cache);
      const Measured measured = measure_continuation(decoder, texts, query);
      const auto [right, by_sum] = accuracies(decoder, texts, query == Query::before);
      EXPECT_DOUBLE_EQ(value_of(measured, "answer_accuracy"), right);
      EXPECT_DOUBLE_EQ(value_of(measured, "answer_accuracy_by_sum"), by_sum);
      EXPECT_EQ(measured.details.at("examples").at("queries"), (std::vector<int>{12, 12}));
    }
}

TEST(Continuation, IsRightWhileTheCacheHoldsTheAnswer) {
  std::vector<TokenText> texts = texts_of_pairs(12);
  for (TokenText& text : texts)
    for (TokenQuestion& question : text.questions)
      for (TokenQuestion::Choice& choice : question.choices) {
        choice.tokens.resize(1);
        choice.bytes = 1;
      }
  model::Decoder full = decoder_with("full"), window = decoder_with("{window: {window: 8}}");
  EXPECT_EQ(value_of(measure_continuation(full, texts, Query::after), "answer_accuracy"), 1);
  const double left = value_of(measure_continuation(window, texts, Query::after), "answer_accuracy");
  EXPECT_GT(left, 0);
  EXPECT_LT(left, 0.7) << "3 or 4 of 12 pairs are in the window";
}

TEST(Continuation, CutsTextsWhereTheyEnd) {
  const model_test::TempFolder folder;
  const auto file = folder.write(
      "q.jsonl", R"({"prompt": "The sea", "choices": [" is calm", " are calm."], "answer": 0})"
                 "\n\n"
                 R"({"prompt": "A b", "questions": [{"question": "ir", "choices": ["d", "ds", "th"], "answer": 2}]})"
                 "\n");
  const std::vector<ChoiceText> texts = read_choice_texts(file, 0);
  ASSERT_EQ(texts.size(), 2U);
  EXPECT_EQ(texts[1].line, 3);
  EXPECT_EQ(texts[1].questions.at(0).answer, 2);
  EXPECT_EQ(read_choice_texts(file, 1).size(), 1U);
  for (const char* name : {"metaspace", "bytelevel"}) {
    const auto tokenizer = model::load_tokenizer(std::string(ATTNLAB_TEST_DATA_DIR) + "/tokenizer/" + name);
    const std::vector<TokenText> tokens = tokens_of(texts, file, *tokenizer, tokenizer->vocab_size());
    for (std::size_t i = 0; i < texts.size(); ++i)
      for (std::size_t choice = 0; choice < texts[i].questions[0].choices.size(); ++choice) {
        std::vector<TokenId> ids(tokens[i].prompt.begin() + std::ssize(tokenizer->before_prompt()),
                                 tokens[i].prompt.end());
        const TokenQuestion& question = tokens[i].questions[0];
        ids.insert(ids.end(), question.question.begin(), question.question.end());
        ids.insert(ids.end(), question.choices[choice].tokens.begin(), question.choices[choice].tokens.end());
        std::string text = tokenizer->decode(ids);
        if (text.starts_with(' ')) text.erase(0, 1);
        EXPECT_EQ(text, texts[i].prompt + texts[i].questions[0].question + texts[i].questions[0].choices[choice])
            << name;
        EXPECT_EQ(question.choices[choice].bytes, static_cast<double>(texts[i].questions[0].choices[choice].size()));
        EXPECT_LE(ids.size() + tokenizer->before_prompt().size() - 1, static_cast<std::size_t>(tokens[i].longest()));
      }
  }
}

TEST(Continuation, RefusesFilesByTheirLines) {
  const model_test::TempFolder folder;
  const auto refused = [&](const std::string& line) -> std::string {
    const auto file = folder.write("wrong.jsonl", R"({"prompt": "a", "choices": ["b", "c"], "answer": 1})"
                                                  "\n" +
                                                      line);
    try {
      (void)read_choice_texts(file, 0);
    } catch (const Error& error) {
      return error.problems().front().text();
    }
    return "nothing is wrong";
  };
  const std::pair<const char*, const char*> wrong[] = {
      {"{", "is no JSON"},
      {"[1]", "is no map"},
      {R"({"choices": ["b", "c"], "answer": 1})", "\"prompt\" is missing"},
      {R"({"prompt": 1, "choices": ["b", "c"], "answer": 1})", "\"prompt\" is no text"},
      {R"({"prompt": "a", "answer": 1})", "\"choices\" is no list"},
      {R"({"prompt": "a", "choices": ["b"], "answer": 0})", "two or more"},
      {R"({"prompt": "a", "choices": ["b", ""], "answer": 0})", "an empty one"},
      {R"({"prompt": "a", "choices": ["b", "c"]})", "\"answer\" is no number from 0 to 1"},
      {R"({"prompt": "a", "choices": ["b", "c"], "answer": 2})", "\"answer\" is no number from 0 to 1"},
      {R"({"prompt": "a", "choices": ["b", "c"], "answer": 0.5})", "\"answer\" is no number"},
      {R"({"prompt": "a", "choices": ["b", "c"], "answer": 0, "anwser": 1})", "\"anwser\" is not known"},
      {R"({"prompt": "a", "questions": []})", "no list of questions"},
      {R"({"prompt": "a", "questions": [{"choices": ["b", "c"], "answer": 5}]})", "\"answer\""},
      {R"({"prompt": "a", "questions": [7]})", "a question is no map"}};
  for (const auto& [line, what] : wrong) {
    const std::string said = refused(line);
    EXPECT_NE(said.find(what), std::string::npos) << line << "\n" << said;
    EXPECT_NE(said.find("wrong.jsonl:2: "), std::string::npos) << said;
  }
  EXPECT_THROW((void)read_choice_texts(folder.write("empty.jsonl", "\n\n"), 0), Error);
  EXPECT_THROW(
      (void)read_choice_texts(folder.write("few.jsonl", R"({"prompt": "a", "choices": ["b", "c"], "answer": 1})"), 2),
      Error);
}

}  // namespace
}  // namespace attnlab::experiment
