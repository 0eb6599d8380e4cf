// Needles: the answer is found again in the text that is fed, by reading it.
#include <map>
#include <regex>
#include <set>

#include <fmt/format.h>

#include "tasks/grammar_rules.h"
#include "unit/tasks/task_samples.h"

namespace attnlab::tasks {
namespace {

std::string text_of(const std::vector<TokenId>& bytes) {
  return {bytes.begin(), bytes.end()};
}

struct Read {
  std::vector<std::pair<std::string, std::string>> needles;  // thing and number, in the order of the text
  std::vector<std::string> asked;
  std::vector<double> depths;  // of each needle, as a share of the text before the question
  std::string filler;
};

Read read_needles(const std::string& text) {
  static const std::regex needle(R"( The magic number of the (\w+) is (\d+)\.)");
  Read read;
  const std::size_t question = text.rfind('\n');
  const std::string hay = text.substr(0, question);
  for (auto found = std::sregex_iterator(hay.begin(), hay.end(), needle); found != std::sregex_iterator(); ++found) {
    read.needles.emplace_back((*found)[1], (*found)[2]);
    read.depths.push_back(static_cast<double>(found->position()) / static_cast<double>(hay.size()));
  }
  read.filler = std::regex_replace(hay, needle, "");
  static const std::regex thing(R"(the (\w+)[,?])");
  const std::string rest = text.substr(question);
  for (auto found = std::sregex_iterator(rest.begin(), rest.end(), thing); found != std::sregex_iterator(); ++found)
    read.asked.push_back((*found)[1]);
  return read;
}

std::string answer_by_reading(const Read& read) {
  std::string answer;
  for (const std::string& thing : read.asked)
    for (const auto& [owner, number] : read.needles)
      if (owner == thing) answer += " " + number;
  return answer;
}

void expect_needles(const std::string& options, std::size_t needles, std::size_t asked_things, std::size_t numbers) {
  for (const char* haystack : {"repeat", "grammar"}) {
    const auto task = task_of(fmt::format("needle: {{length: 900, haystack: {}{}}}", haystack, options));
    EXPECT_EQ(task->length(), 900);
    EXPECT_TRUE(task->facts().ids_are_bytes);
    for (int index = 0; index < 25; ++index) {
      SCOPED_TRACE(testing::Message() << haystack << options << ", example " << index);
      const Example example = example_of(*task, index);
      ASSERT_EQ(example.input.size(), 900U) << "cut to the length, to the token";
      const std::string text = text_of(example.input);
      const Read read = read_needles(text);
      EXPECT_EQ(read.needles.size(), needles);
      EXPECT_EQ(read.asked.size(), asked_things);
      EXPECT_EQ(std::set<std::string>(read.asked.begin(), read.asked.end()).size(), asked_things);
      // What is fed after the question, and the last token that is asked for, is the answer; its digits are asked for.
      const std::string answer = answer_by_reading(read);
      const std::size_t end = text.rfind('?') + 1;
      EXPECT_EQ(text.substr(end) + static_cast<char>(example.targets.back()), answer);
      EXPECT_EQ(std::ranges::count(answer, ' '), static_cast<std::ptrdiff_t>(numbers));
      for (std::size_t at = 0; at < example.input.size(); ++at) {
        const bool is_answer = at + 1 >= end;
        const char next = is_answer ? answer[at + 1 - end] : ' ';
        EXPECT_EQ(example.targets[at], next == ' ' ? kNoTarget : next) << at;
      }
      EXPECT_EQ(read.filler.find_first_of("0123456789"), std::string::npos);
    }
  }
}

TEST(NeedleTask, AsksForWhatTheTextSays) {
  expect_needles("", 1, 1, 1);                                  // single
  expect_needles(", keys: 4", 4, 1, 1);                         // multi-key
  expect_needles(", values: 3", 3, 1, 3);                       // multi-value
  expect_needles(", keys: 3, queries: 3, digits: 2", 3, 3, 3);  // multi-query
  expect_needles(", keys: 4, queries: 2, values: 2", 6, 2, 4);
}

TEST(NeedleTask, HidesNumbersAtTheDepthsThatAreNamed) {
  const auto depths_of = [](const char* depth) {
    const auto task = task_of(fmt::format("needle: {{length: 2000{}}}", depth));
    std::vector<double> all;
    for (int index = 0; index < 200; ++index)
      all.push_back(read_needles(text_of(example_of(*task, index).input)).depths.at(0));
    return all;
  };
  for (const double depth : depths_of(", depth: [0]")) EXPECT_LT(depth, 0.05);
  for (const double depth : depths_of(", depth: [1]")) EXPECT_GT(depth, 0.95);
  for (const double depth : depths_of(", depth: [0.5]")) EXPECT_NEAR(depth, 0.5, 0.04);
  int low = 0, high = 0;
  for (const double depth : depths_of(", depth: [0.25, 0.75]")) {
    EXPECT_TRUE(std::abs(depth - 0.25) < 0.04 || std::abs(depth - 0.75) < 0.04) << depth;
    (depth < 0.5 ? low : high) += 1;
  }
  EXPECT_NEAR(low, high, 60);
  std::map<int, int> quarters;
  for (const double depth : depths_of("")) ++quarters[static_cast<int>(depth * 4)];
  for (const int quarter : {0, 1, 2, 3}) EXPECT_NEAR(quarters[quarter], 50, 30) << quarter;
}

TEST(NeedleTask, SpeaksTheIdsOfATokenizer) {
  const std::string folder = std::string(ATTNLAB_TEST_DATA_DIR) + "/tokenizer/";
  int tokenizers = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (!std::filesystem::exists(entry.path() / "tokenizer.json") &&
        !std::filesystem::exists(entry.path() / "tokenizer.model"))
      continue;
    SCOPED_TRACE(entry.path());
    ++tokenizers;
    const auto tokenizer = model::load_tokenizer(entry.path());
    const auto task = task_of(fmt::format("needle: {{length: 700, keys: 3, tokenizer: {}}}", entry.path().string()));
    EXPECT_EQ(task->facts().tokenizer, entry.path());
    for (int index = 0; index < 5; ++index) {
      const Example example = example_of(*task, index);
      ASSERT_EQ(example.input.size(), 700U);
      const std::string text = tokenizer->decode(example.input);
      const Read read = read_needles(text);
      EXPECT_EQ(read.needles.size(), 3U);
      std::string digits;
      for (const TokenId id : asked(example))
        for (const char c : tokenizer->decode({&id, 1}))
          if (c >= '0' && c <= '9') digits += c;
      EXPECT_EQ(" " + digits, answer_by_reading(read)) << text.substr(text.rfind('\n'));
    }
  }
  EXPECT_GT(tokenizers, 0);
}

// However a tokenizer cuts blanks and digits: BOS first, the question's place, and as many answers as numbers.
TEST(NeedleTask, SaysWhereTheQuestionAndEveryAnswerBegin) {
  const std::string folder = std::string(ATTNLAB_TEST_DATA_DIR) + "/tokenizer/";
  for (const std::string& tokenizer : {std::string("bytes"), folder + "metaspace", folder + "bytelevel"}) {
    SCOPED_TRACE(tokenizer);
    const std::unique_ptr<model::Tokenizer> own =
        tokenizer == "bytes" ? model::byte_tokenizer(256) : model::load_tokenizer(tokenizer);
    const auto task =
        task_of(fmt::format("needle: {{length: 600, keys: 3, queries: 2, digits: 5, tokenizer: {}}}", tokenizer));
    for (int index = 0; index < 5; ++index) {
      const Example example = example_of(*task, index);
      ASSERT_EQ(example.input.size(), 600U);
      const std::span<const TokenId> before = own->before_prompt();
      EXPECT_TRUE(std::equal(before.begin(), before.end(), example.input.begin()));
      const auto question = std::span(example.input).subspan(static_cast<std::size_t>(example.question));
      EXPECT_EQ(own->decode(question).find("What are the magic numbers of the "), own->decode(question).find("What"));
      EXPECT_EQ(own->decode(std::span(example.input).first(static_cast<std::size_t>(example.question))).find("What"),
                std::string::npos);
      int answers = 0;
      for (std::int64_t at = 0; at < std::ssize(example.targets); ++at)
        if (example.targets[at] != kNoTarget &&
            (example.targets[at - 1] == kNoTarget || std::ranges::count(example.next_answers, at) > 0))
          ++answers;
      EXPECT_EQ(answers, 2);
    }
  }
}

}  // namespace
}  // namespace attnlab::tasks
