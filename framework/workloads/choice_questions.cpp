#include "workloads/choice_questions.h"

#include <algorithm>
#include <fstream>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <attnlab/error.h>

namespace attnlab::experiment {
namespace {

namespace fs = std::filesystem;
using model::TokenId;
using nlohmann::json;

constexpr const char* kForm =
    R"(write {"prompt": "...", "choices": ["...", "..."], "answer": 0}, or "questions": [{"question", "choices", )"
    R"("answer"}, ...] in place of the last two)";

[[noreturn]] void wrong(const fs::path& file, int line, const std::string& what) {
  throw Error(fmt::format("{}:{}", file.string(), line), what, kForm);
}

std::string text_in(const json& map, const char* key, const fs::path& file, int line, bool is_required) {
  const auto found = map.find(key);
  if (found == map.end()) {
    if (is_required) wrong(file, line, fmt::format("the key \"{}\" is missing", key));
    return "";
  }
  if (!found->is_string()) wrong(file, line, fmt::format("\"{}\" is no text", key));
  return *found;
}

ChoiceQuestion question_in(const json& map, const fs::path& file, int line) {
  if (!map.is_object()) wrong(file, line, "a question is no map");
  ChoiceQuestion question{.question = text_in(map, "question", file, line, false)};
  const auto choices = map.find("choices");
  if (choices == map.end() || !choices->is_array() || choices->size() < 2)
    wrong(file, line, "\"choices\" is no list of two or more texts");
  for (const json& choice : *choices) {
    if (!choice.is_string() || choice.get_ref<const std::string&>().empty())
      wrong(file, line, "a choice is no text, or an empty one");
    question.choices.push_back(choice);
  }
  const auto answer = map.find("answer");
  if (answer == map.end() || !answer->is_number_integer() || *answer < 0 || *answer >= choices->size())
    wrong(file, line, fmt::format("\"answer\" is no number from 0 to {}, which choice is right", choices->size() - 1));
  question.answer = *answer;
  return question;
}

void check_keys(const json& map, std::initializer_list<std::string_view> known, const fs::path& file, int line) {
  for (const auto& [key, value] : map.items())
    if (std::ranges::find(known, key) == known.end())
      wrong(file, line, fmt::format("the key \"{}\" is not known", key));
}

ChoiceText text_of_line(const std::string& written, const fs::path& file, int line) {
  json map;
  try {
    map = json::parse(written);
  } catch (const json::exception&) {
    wrong(file, line, "is no JSON");
  }
  if (!map.is_object()) wrong(file, line, "is no map");
  ChoiceText text{.prompt = text_in(map, "prompt", file, line, true), .line = line};
  const auto questions = map.find("questions");
  if (questions == map.end()) {
    check_keys(map, {"prompt", "question", "choices", "answer"}, file, line);
    text.questions.push_back(question_in(map, file, line));
    return text;
  }
  check_keys(map, {"prompt", "questions"}, file, line);
  if (!questions->is_array() || questions->empty()) wrong(file, line, "\"questions\" is no list of questions");
  for (const json& question : *questions) {
    text.questions.push_back(question_in(question, file, line));
    check_keys(question, {"question", "choices", "answer"}, file, line);
  }
  return text;
}

// A text up to where its tokens are sure to end: blanks at its end belong to what follows, as tokenizers take them.
struct Cut {
  std::string text, blanks;
};
Cut cut(const std::string& text) {
  const std::size_t end = text.find_last_not_of(' ') + 1;  // 0: nothing but blanks
  return end == 0 ? Cut{text, ""} : Cut{text.substr(0, end), text.substr(end)};
}

// What `part` adds to a text whose ids are `head`.
std::vector<TokenId> added(const model::Tokenizer& tokenizer, const std::string& before,
                           const std::vector<TokenId>& head, const std::string& part) {
  const auto rest_of = [](const std::vector<TokenId>& whole, const std::vector<TokenId>& first) {
    const bool goes_on = first.size() <= whole.size() && std::equal(first.begin(), first.end(), whole.begin());
    return goes_on ? std::optional(std::vector<TokenId>(whole.begin() + std::ssize(first), whole.end())) : std::nullopt;
  };
  if (auto rest = rest_of(tokenizer.encode(before + part), head)) return *rest;
  // A token goes over the end. Behind a line's end the part stands by itself, and gets no blank that it does not have.
  if (auto rest = rest_of(tokenizer.encode("\n" + part), tokenizer.encode("\n"))) return *rest;
  return tokenizer.encode(part);
}

}  // namespace

std::vector<ChoiceText> read_choice_texts(const fs::path& file, int most) {
  std::ifstream stream(file);
  if (!stream) throw Error(file.string(), "cannot be read");
  std::vector<ChoiceText> texts;
  int number = 0;
  for (std::string line; std::getline(stream, line) && (most == 0 || static_cast<int>(texts.size()) < most);) {
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    texts.push_back(text_of_line(line, file, number));
  }
  if (texts.empty()) throw Error(file.string(), "holds no questions", kForm);
  if (static_cast<int>(texts.size()) < most)
    throw Error(file.string(), fmt::format("holds {} texts, fewer than the {} examples", texts.size(), most),
                fmt::format("give examples: {}, or none for all of them", texts.size()));
  return texts;
}

int TokenText::longest() const {
  std::size_t longest = 0;
  for (const TokenQuestion& question : questions)
    for (const TokenQuestion::Choice& choice : question.choices)
      longest = std::max(longest, question.question.size() + choice.tokens.size());
  return static_cast<int>(prompt.size() + longest) - 1;
}

std::vector<TokenText> tokens_of(const std::vector<ChoiceText>& texts, const fs::path& file,
                                 const model::Tokenizer& tokenizer, int vocab_size) {
  std::vector<TokenText> all;
  for (const ChoiceText& text : texts) {
    const auto check = [&](const std::vector<TokenId>& ids, const char* part) {
      const auto outside = std::ranges::find_if(ids, [&](TokenId id) { return id < 0 || id >= vocab_size; });
      if (outside != ids.end())
        throw Error(fmt::format("{}:{}", file.string(), text.line),
                    fmt::format("a {} has the id {}, and the model has {} tokens", part, *outside, vocab_size),
                    "give the text as the model's tokenizer takes it");
    };
    TokenText& made = all.emplace_back();
    made.prompt.assign(tokenizer.before_prompt().begin(), tokenizer.before_prompt().end());
    const Cut prompt = cut(text.prompt);
    const std::vector<TokenId> prompt_ids = tokenizer.encode(prompt.text);
    made.prompt.insert(made.prompt.end(), prompt_ids.begin(), prompt_ids.end());
    if (made.prompt.empty()) wrong(file, text.line, "the prompt has no tokens");
    check(made.prompt, "prompt");
    for (const ChoiceQuestion& question : text.questions) {
      TokenQuestion& of = made.questions.emplace_back(TokenQuestion{.answer = question.answer});
      Cut context = prompt;  // what a choice follows
      std::vector<TokenId> context_ids = prompt_ids;
      if (!question.question.empty()) {
        const Cut asked = cut(prompt.blanks + question.question);
        of.question = added(tokenizer, prompt.text, prompt_ids, asked.text);
        check(of.question, "question");
        context = {prompt.text + asked.text, asked.blanks};
        context_ids = tokenizer.encode(context.text);
      }
      for (const std::string& choice : question.choices) {
        of.choices.push_back(
            {added(tokenizer, context.text, context_ids, context.blanks + choice), static_cast<double>(choice.size())});
        if (of.choices.back().tokens.empty()) wrong(file, text.line, "a choice has no tokens");
        check(of.choices.back().tokens, "choice");
      }
    }
  }
  return all;
}

}  // namespace attnlab::experiment
