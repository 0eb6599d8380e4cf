// Tasks whose input has an answer: it is found again from the input alone, the slow way.
#include <algorithm>
#include <map>

#include "unit/tasks/task_samples.h"

namespace attnlab::tasks {
namespace {

using Ids = std::vector<TokenId>;

Ids without(Ids ids, TokenId token) {
  std::erase(ids, token);
  return ids;
}

// Up to the marker.
Ids prompt_of(const Example& example, TokenId marker) {
  return {example.input.begin(), std::ranges::find(example.input, marker)};
}

// What is fed and asked after the prompt: the answer so far with the next, or blanks with the answer.
void expect_answer(const Example& example, std::size_t prompt, const Ids& answer, bool feeds_answer, TokenId blank) {
  ASSERT_EQ(example.input.size(), prompt + (feeds_answer ? answer.size() : answer.size() + 1));
  const std::size_t first = feeds_answer ? prompt : prompt + 1;
  for (std::size_t at = 0; at < example.input.size(); ++at) {
    EXPECT_EQ(example.targets[at], at < first ? kNoTarget : answer[at - first]) << at;
    if (at > prompt) {
      EXPECT_EQ(example.input[at], feeds_answer ? answer[at - prompt - 1] : blank) << at;
    }
  }
}

TEST(CopyTask, AsksForTheTokensAgain) {
  for (const bool selective : {false, true})
    for (const bool feeds_answer : {false, true}) {
      SCOPED_TRACE(testing::Message() << selective << feeds_answer);
      const auto task =
          task_of(std::string(selective ? "selective_copy" : "copy") +
                  ": {length: 40, tokens: 6, vocab: 7, feed: " + (feeds_answer ? "answer" : "blank") + "}");
      EXPECT_EQ(task->length(), 40);
      EXPECT_EQ(task->vocab_size(), 7);
      bool has_gap = false;
      for (int index = 0; index < 50; ++index) {
        const Example example = example_of(*task, index);
        EXPECT_EQ(example.input.size(), 40U);
        const Ids prompt = prompt_of(example, 6);
        const Ids tokens = without(prompt, 5);
        ASSERT_EQ(tokens.size(), 6U);
        EXPECT_LT(std::ranges::max(tokens), 5);
        expect_answer(example, prompt.size(), tokens, feeds_answer, 5);
        has_gap = has_gap || !std::equal(tokens.begin(), tokens.end(), prompt.begin());
        if (selective) {
          EXPECT_NE(prompt.back(), 5) << "blanks stand before tokens";
        }
      }
      EXPECT_EQ(has_gap, selective);
    }
}

// 20 blanks, each before one of 4 tokens: binomial with a mean of 5.
TEST(CopyTask, SpreadsBlanksEvenlyOverTheTokens) {
  const auto task = task_of("selective_copy: {length: 29, tokens: 4}");
  constexpr int kExamples = 4000;
  std::vector<double> before(4, 0.0);
  for (int index = 0; index < kExamples; ++index) {
    const Ids prompt = prompt_of(example_of(*task, index), 15);
    ASSERT_EQ(prompt.size(), 24U);
    std::size_t token = 0;
    for (const TokenId id : prompt)
      if (id == 14)
        ++before[token];
      else
        ++token;
  }
  for (const double blanks : before) EXPECT_NEAR(blanks / kExamples, 5.0, 5 * std::sqrt(20 * 0.25 * 0.75 / kExamples));
}

TEST(ReverseTask, AsksFromTheLastToTheFirst) {
  const auto task = task_of("reverse: {tokens: 9, vocab: 5}");
  EXPECT_EQ(task->length(), 18);
  for (int index = 0; index < 50; ++index) {
    const Example example = example_of(*task, index);
    Ids answer = prompt_of(example, 4);
    ASSERT_EQ(answer.size(), 9U);
    for (std::size_t i = 0; i < answer.size() / 2; ++i) std::swap(answer[i], answer[answer.size() - 1 - i]);
    expect_answer(example, 9, answer, true, 4);
  }
}

TEST(SortTask, AsksInAscendingOrder) {
  for (const bool feeds_answer : {false, true}) {
    const auto task =
        task_of(std::string("sort: {tokens: 12, vocab: 6, feed: ") + (feeds_answer ? "answer" : "blank") + "}");
    EXPECT_EQ(task->length(), feeds_answer ? 24 : 25);
    for (int index = 0; index < 50; ++index) {
      const Example example = example_of(*task, index);
      const Ids prompt = prompt_of(example, 5);
      ASSERT_EQ(prompt.size(), 12U);
      Ids answer;  // by counting
      for (TokenId token = 0; token < 5; ++token) answer.insert(answer.end(), std::ranges::count(prompt, token), token);
      expect_answer(example, 12, answer, feeds_answer, 5);
    }
  }
}

TEST(AdditionTask, AsksForTheSum) {
  for (const bool reversed : {false, true}) {
    const auto task = task_of(std::string("addition: {digits: 4, sum: ") + (reversed ? "reversed" : "plain") + "}");
    EXPECT_EQ(task->length(), 14);
    EXPECT_EQ(task->vocab_size(), 12);
    for (int index = 0; index < 200; ++index) {
      const Example example = example_of(*task, index);
      ASSERT_EQ(example.input.size(), 14U);
      int numbers[2] = {0, 0};
      for (int i = 0; i < 4; ++i) {
        numbers[0] = 10 * numbers[0] + example.input[i];
        numbers[1] = 10 * numbers[1] + example.input[5 + i];
      }
      EXPECT_EQ(example.input[4], 10);
      EXPECT_EQ(example.input[9], 11);
      std::string sum = std::to_string(numbers[0] + numbers[1]);
      sum.insert(0, 5 - sum.size(), '0');
      if (reversed) std::ranges::reverse(sum);
      Ids answer;
      for (const char digit : sum) answer.push_back(digit - '0');
      expect_answer(example, 9, answer, true, 11);
    }
  }
}

TEST(InductionTask, AsksForTheTokenAfterTheSpecialOne) {
  const auto task = task_of("induction: {length: 12, vocab: 9}");
  std::map<std::ptrdiff_t, int> places;
  for (int index = 0; index < 4000; ++index) {
    const Example example = example_of(*task, index);
    ASSERT_EQ(example.input.size(), 12U);
    EXPECT_EQ(std::ranges::count(example.input, 8), 2);
    EXPECT_EQ(example.input.back(), 8);
    const auto first = std::ranges::find(example.input, 8) - example.input.begin();
    EXPECT_EQ(asked(example), Ids{example.input[first + 1]});
    EXPECT_EQ(example.targets.back(), example.input[first + 1]);
    EXPECT_NE(example.targets.back(), 8);
    ++places[first];
  }
  EXPECT_EQ(places.size(), 10U) << "it may stand anywhere but right before the end";
  for (const auto& [place, count] : places) EXPECT_NEAR(count, 400, 100) << place;
}

TEST(RecallTask, AsksForTheValueOfEachKeyAtItsSecondPlace) {
  const auto task = task_of("recall: {length: 48, pairs: 6, vocab: 100}");
  for (int index = 0; index < 200; ++index) {
    const Example example = example_of(*task, index);
    ASSERT_EQ(example.input.size(), 48U);
    std::map<TokenId, TokenId> values;
    for (int pair = 0; pair < 6; ++pair) {
      EXPECT_LT(example.input[2 * pair], 50);
      EXPECT_GE(example.input[2 * pair + 1], 50);
      values[example.input[2 * pair]] = example.input[2 * pair + 1];
    }
    ASSERT_EQ(values.size(), 6U);
    int queries = 0;
    for (std::size_t at = 0; at < example.input.size(); ++at) {
      const bool is_query = at >= 12 && values.contains(example.input[at]);
      queries += is_query ? 1 : 0;
      EXPECT_EQ(example.targets[at], is_query ? values[example.input[at]] : kNoTarget) << at;
    }
    EXPECT_EQ(queries, 6);
  }
}

}  // namespace
}  // namespace attnlab::tasks
