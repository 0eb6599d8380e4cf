// Pass keys, chains of variables, common and frequent words: the answer is found again in the text that is fed, by
// reading and counting.
#include <algorithm>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include <fmt/format.h>

#include "unit/tasks/task_samples.h"

namespace attnlab::tasks {
namespace {

constexpr int kExamples = 25;

// The text with the question and the answer, as bytes: what is fed, and the last token that is asked for.
struct Read {
  std::string text, question, answer;
};
Read read(const Example& example) {
  std::string all(example.input.begin(), example.input.end());
  all += static_cast<char>(example.targets.back());
  const auto line = all.rfind('\n');
  // A question ends with its mark; that of the pass key goes on.
  static const std::string kGoesOn = "? The pass key is";
  auto end = all.find('?', line) + 1;
  if (all.compare(end - 1, kGoesOn.size(), kGoesOn) == 0) end += kGoesOn.size() - 1;
  return {all.substr(0, line), all.substr(line, end - line), all.substr(end)};
}

std::vector<std::string> words_of(const std::string& text) {
  std::istringstream stream(text);
  return {std::istream_iterator<std::string>(stream), {}};
}

// Letters and digits of the answer are asked for, nothing else, and every word is an answer of its own.
void expect_asked(const Example& example, const Read& read) {
  const std::size_t first = example.input.size() + 1 - read.answer.size();
  EXPECT_EQ(example.question, static_cast<std::int64_t>(read.text.size()));
  for (std::size_t at = 0; at < example.input.size(); ++at) {
    const char next = at + 1 >= first ? read.answer[at + 1 - first] : ' ';
    EXPECT_EQ(example.targets[at], next == ' ' ? kNoTarget : next) << at;
  }
  EXPECT_TRUE(example.next_answers.empty()) << "blanks are tokens of their own";
}

template <class Check>
void each_example(const std::string& yaml, const Check& check) {
  const auto task = task_of(yaml);
  EXPECT_TRUE(task->facts().has_answers);
  for (int index = 0; index < kExamples; ++index) {
    SCOPED_TRACE(testing::Message() << yaml << ", example " << index);
    const Example example = example_of(*task, index);
    ASSERT_LE(static_cast<int>(example.input.size()), task->length());
    const Read found = read(example);
    expect_asked(example, found);
    check(example, found);
  }
}

TEST(PasskeyTask, AsksForTheNumberThatIsSaidTwice) {
  const std::regex said(R"( The pass key is (\d+)\. Remember it\. (\d+) is the pass key\.)");
  for (const char* options : {"length: 400", "length: 900, digits: 7", "length: 600, haystack: grammar"})
    each_example(fmt::format("passkey: {{{}}}", options), [&](const Example& example, const Read& read) {
      EXPECT_EQ(static_cast<int>(example.input.size()), task_of(fmt::format("passkey: {{{}}}", options))->length());
      std::smatch found;
      ASSERT_TRUE(std::regex_search(read.text, found, said)) << read.text;
      EXPECT_EQ(found[1], found[2]);
      EXPECT_EQ(read.answer, " " + found[1].str());
      EXPECT_EQ(std::regex_replace(read.text, said, "").find_first_of("0123456789"), std::string::npos);
    });
}

TEST(PasskeyTask, IsWhereItsDepthSays) {
  each_example("passkey: {length: 2000, depth: [0.25]}", [](const Example&, const Read& read) {
    EXPECT_NEAR(static_cast<double>(read.text.find("The pass key")) / static_cast<double>(read.text.size()), 0.25,
                0.04);
  });
}

TEST(VariableTrackingTask, AsksForAllThatHaveTheNumberInTheEnd) {
  const std::regex said(R"( Let ([A-Z]+) be (\w+)\.)");
  for (const auto& [options, chains, hops] :
       {std::tuple{"length: 500", 1, 4}, std::tuple{"length: 900, chains: 3, hops: 2", 3, 2},
        std::tuple{"length: 700, hops: 1, letters: 5, digits: 3", 1, 1}})
    each_example(fmt::format("variable_tracking: {{{}}}", options),
                 [&, chains = chains, hops = hops](const Example& example, const Read& read) {
                   EXPECT_EQ(static_cast<int>(example.input.size()), std::stoi(std::string(options).substr(8)));
                   std::map<std::string, std::string> values;  // of each variable, in the end
                   std::vector<std::string> order;
                   for (auto found = std::sregex_iterator(read.text.begin(), read.text.end(), said);
                        found != std::sregex_iterator(); ++found) {
                     const std::string name = (*found)[1], value = (*found)[2];
                     EXPECT_FALSE(values.contains(name)) << name;
                     const bool is_number = std::isdigit(static_cast<unsigned char>(value[0])) != 0;
                     ASSERT_TRUE(is_number || values.contains(value)) << value << " is read before it is said";
                     values[name] = is_number ? value : values.at(value);
                     order.push_back(name);
                   }
                   EXPECT_EQ(static_cast<int>(order.size()), chains * (hops + 1));
                   const std::string number = read.question.substr(read.question.find("are ") + 4);
                   std::string answer;
                   for (const std::string& name : order)
                     if (values.at(name) + "?" == number) answer += " " + name;
                   EXPECT_EQ(read.answer, answer);
                   EXPECT_EQ(static_cast<int>(words_of(answer).size()), hops + 1);
                 });
}

std::map<std::string, int> counts_of(const std::string& text) {
  std::map<std::string, int> counts;
  for (const std::string& word : words_of(text)) ++counts[word];
  return counts;
}

TEST(CommonWordsTask, AsksForThoseThatComeMoreOften) {
  for (const auto& [options, common, times, rare] :
       {std::tuple{"length: 600", 3, 10, 2}, std::tuple{"length: 1500, common: 5, times: 20, rare_times: 3", 5, 20, 3},
        std::tuple{"length: 300, common: 1, times: 4, rare_times: 1", 1, 4, 1}})
    each_example(fmt::format("common_words: {{{}}}", options),
                 [&, common = common, times = times, rare = rare](const Example& example, const Read& read) {
                   std::string answer;  // a map is in the order of the alphabet
                   int others = 0;
                   for (const auto& [word, count] : counts_of(read.text)) {
                     EXPECT_TRUE(count == times || count == rare) << word << " " << count;
                     if (count == times) answer += " " + word;
                     others += count == rare ? 1 : 0;
                   }
                   EXPECT_EQ(read.answer, answer);
                   EXPECT_EQ(static_cast<int>(words_of(answer).size()), common);
                   EXPECT_GT(others, 5);
                   // Another rare word would not have fitted.
                   const int length = std::stoi(std::string(options).substr(8));
                   EXPECT_GT(static_cast<int>(example.input.size()) + 1 + 5 * rare, length);
                 });
}

TEST(FrequentWordsTask, AsksForTheMostFrequentInTheirOrder) {
  for (const auto& [options, asked] :
       {std::tuple{"length: 1000", 3}, std::tuple{"length: 3000, asked: 5, alpha: 1.3, vocab: 80", 5},
        std::tuple{"length: 500, asked: 1, vocab: 2", 1}, std::tuple{"length: 2000, asked: 3, alpha: 8", 3}})
    each_example(fmt::format("frequent_words: {{{}}}", options), [&, asked = asked](const Example&, const Read& read) {
      std::vector<std::pair<int, std::string>> order;
      for (const auto& [word, count] : counts_of(read.text)) order.emplace_back(count, word);
      std::ranges::sort(order, std::greater());
      ASSERT_GT(static_cast<int>(order.size()), asked);
      std::string answer;
      for (int i = 0; i < asked; ++i) {
        EXPECT_GT(order[i].first, order[i + 1].first);
        answer += " " + order[i].second;
      }
      EXPECT_EQ(read.answer, answer);
    });
}

// Whatever a tokenizer makes of blanks, letters and digits: the decoded text says the same.
TEST(LongTexts, SpeakTheIdsOfATokenizer) {
  const std::string folder = std::string(ATTNLAB_TEST_DATA_DIR) + "/tokenizer/";
  for (const std::string& name : {folder + "metaspace", folder + "bytelevel"})
    for (const char* kind : {"passkey", "variable_tracking", "common_words", "frequent_words"}) {
      SCOPED_TRACE(testing::Message() << kind << ", " << name);
      const auto tokenizer = model::load_tokenizer(name);
      const auto task = task_of(fmt::format("{}: {{length: 900, tokenizer: {}}}", kind, name));
      for (int index = 0; index < 5; ++index) {
        const Example example = example_of(*task, index);
        EXPECT_LE(example.input.size(), 900U);
        EXPECT_GT(example.input.size(), 700U);
        std::vector<TokenId> all = example.input;
        all.push_back(example.targets.back());
        const std::string text = tokenizer->decode(all);
        std::string asked_for, answer = text.substr(text.rfind('?') + 1);
        if (const auto key = answer.find("key is"); key != std::string::npos) answer = answer.substr(key + 6);
        for (const TokenId id : asked(example)) asked_for += tokenizer->decode({&id, 1});
        // A word or number is an answer of its own, however its blank is cut.
        std::ptrdiff_t answers = std::ssize(example.next_answers);
        for (std::size_t at = 0; at < example.targets.size(); ++at)
          answers += example.targets[at] != kNoTarget && (at == 0 || example.targets[at - 1] == kNoTarget) ? 1 : 0;
        EXPECT_EQ(answers, std::ssize(words_of(answer))) << answer;
        std::erase(asked_for, ' ');
        std::erase(answer, ' ');
        EXPECT_EQ(asked_for, answer) << text.substr(text.rfind('\n'));
      }
    }
}

TEST(LongTexts, ThatHaveNoRoomAreRefused) {
  for (const char* yaml : {"passkey: {length: 60}", "variable_tracking: {length: 80}", "common_words: {length: 90}",
                           "frequent_words: {length: 200}"}) {
    const std::string problem = problems_of(yaml);
    EXPECT_NE(problem.find("has no room for what is hidden, the question and filler; give a length of at least "),
              std::string::npos)
        << problem;
    // And with the length that is named there is room.
    const std::string kind = std::string(yaml).substr(0, std::string(yaml).find(':'));
    const int least = std::stoi(problem.substr(problem.find("at least ") + 9));
    const auto task = task_of(fmt::format("{}: {{length: {}}}", kind, least));
    for (int index = 0; index < kExamples; ++index)
      EXPECT_LE(static_cast<int>(example_of(*task, index).input.size()), least) << yaml;
  }
  EXPECT_NE(problems_of("common_words: {times: 3, rare_times: 3}").find("rare_times"), std::string::npos);
  EXPECT_NE(problems_of("frequent_words: {asked: 8, vocab: 8}").find("asked"), std::string::npos);
}

}  // namespace
}  // namespace attnlab::tasks
