#include "tasks/hidden_text.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include <fmt/format.h>

namespace attnlab::tasks {
namespace {

const std::vector<std::string> kFiller = {"The sea was calm and the sky was grey.", "A light rain fell on the roofs.",
                                          "Nobody was in a hurry.", "The road led over the hills and back again.",
                                          "There was bread on the table."};

}  // namespace

// Sentences without an end, beginning anywhere.
class HiddenTexts::Filler {
 public:
  Filler(const HiddenTexts& texts, SplitMix64& draws)
      : texts_(texts), draws_(draws), place_(draws.below(kFiller.size())) {}
  std::string next() {
    if (texts_.haystack_ == Haystack::repeat)
      return " " + kFiller[(place_ += kFiller.size() - 1) % kFiller.size()];  // backwards: the last one is the first
    std::string sentence;
    constexpr int kMostOfSentence = 12;
    do {
      sentence.clear();
      for (const TokenId word : draw_sentence(texts_.grammar_, kMostOfSentence, draws_))
        sentence += (word == texts_.grammar_.end ? "" : " ") + texts_.grammar_.words[word];
    } while (!sentence.ends_with('.'));
    sentence[1] = static_cast<char>(sentence[1] & ~0x20);  // a capital; words are ASCII
    return sentence;
  }

 private:
  const HiddenTexts& texts_;
  SplitMix64& draws_;
  std::size_t place_;
};

HiddenTexts::HiddenTexts(int length, Haystack haystack, std::vector<double> depths,
                         std::shared_ptr<const TextTokenizer> tokenizer)
    : length_(length),
      haystack_(haystack),
      depths_(std::move(depths)),
      tokenizer_(std::move(tokenizer)),
      before_(tokenizer_->before_text()),
      grammar_(english(kMostWords, 0.2)) {}

int HiddenTexts::tokens(const std::string& text) const {
  return static_cast<int>(tokenizer_->encode(text).size());
}

int HiddenTexts::least_filler() const {
  int filler = 0;
  for (const std::string& sentence : kFiller) filler = std::max(filler, tokens(" " + sentence));
  return static_cast<int>(before_.size()) + 2 * filler;
}

void HiddenTexts::write(const HiddenText& text, SplitMix64& draws, Example& to) const {
  std::vector<std::string> filler;  // the last is the first of the text
  int estimate = tokens(text.question + text.answer);
  for (const std::string& sentence : text.hidden) estimate += tokens(sentence);
  Filler source(*this, draws);
  while (estimate <= length_ || filler.empty()) estimate += tokens(filler.emplace_back(source.next()));
  const std::vector<double> depths = draw_depths(text.hidden.size(), draws);
  // What a tokenizer makes of the whole may be a little less, or more, than of its sentences.
  for (bool has_grown = false;;) {
    const std::string context = hide(text.hidden, depths, filler);
    auto [ids, asked] = answered(*tokenizer_, context + text.question, text.answer);
    const auto surplus = static_cast<std::ptrdiff_t>(before_.size() + ids.size()) - 1 - length_;
    if (surplus < 0) {
      filler.push_back(source.next());
      has_grown = true;
    } else if (surplus > tokens(filler.back()) && filler.size() > 1 && !has_grown) {
      filler.pop_back();
    } else {
      ids.erase(ids.begin(), ids.begin() + surplus);
      ids.insert(ids.begin(), before_.begin(), before_.end());
      const std::ptrdiff_t moved = std::ssize(before_) - surplus;
      fill_answers(*tokenizer_, ids, asked + moved, to);
      to.question = std::min<std::int64_t>(asked, tokens(context)) + moved;
      return;
    }
  }
}

// Ascending; with several places a sentence is at any of them.
std::vector<double> HiddenTexts::draw_depths(std::size_t count, SplitMix64& draws) const {
  std::vector<double> depths(count);
  for (double& depth : depths) depth = depths_.empty() ? draws.uniform() : depths_[draws.below(depths_.size())];
  std::ranges::sort(depths);
  return depths;
}

// The first sentence is always filler: what is too long is cut off there.
std::string HiddenTexts::hide(const std::vector<std::string>& hidden, const std::vector<double>& depths,
                              const std::vector<std::string>& filler) {
  std::string text;
  std::size_t next = 0;
  const auto gaps = static_cast<double>(filler.size() - 1);
  for (std::size_t placed = 0; placed < filler.size(); ++placed) {
    text += filler[filler.size() - 1 - placed];
    while (next < hidden.size() && (placed + 1 == filler.size() || std::round(depths[next] * gaps) <= placed))
      text += hidden[next++];
  }
  return text;
}

AnsweredIds answered(const TextTokenizer& tokenizer, const std::string& text, const std::string& answer) {
  const std::vector<TokenId> prompt = tokenizer.encode(text);
  AnsweredIds made{tokenizer.encode(text + answer), std::ssize(prompt)};
  const auto common = std::min(std::ssize(prompt), std::ssize(made.ids));
  if (!std::equal(prompt.begin(), prompt.end(), made.ids.begin(), made.ids.begin() + common)) {
    // A token would go over the end of the text.
    made.ids = prompt;
    const std::vector<TokenId> answers = tokenizer.encode(answer);
    made.ids.insert(made.ids.end(), answers.begin(), answers.end());
  }
  return made;
}

void fill_answers(const TextTokenizer& tokenizer, const std::vector<TokenId>& ids, std::ptrdiff_t first, Example& to) {
  to.input.assign(ids.begin(), ids.end() - 1);
  to.targets.assign(to.input.size(), kNoTarget);
  to.optimum.assign(to.input.size(), 0.0);
  for (auto at = static_cast<std::size_t>(first); at < ids.size(); ++at)
    if (tokenizer.has_word(ids[at])) {
      // Two words may stand in tokens side by side, of which the second has the blank: " 5678".
      if (to.targets[at - 2] != kNoTarget && !tokenizer.goes_on_with_word(ids[at - 1], ids[at]))
        to.next_answers.push_back(static_cast<std::int64_t>(at) - 1);
      to.targets[at - 1] = ids[at];
    }
}

std::unique_ptr<Task> made_of_texts(const TaskReading& reading, std::string_view name, int length, int least,
                                    const TextTokenizer& tokenizer, DrawExample draw) {
  if (length < least) {
    reading.problems.add(
        reading.where,
        fmt::format("{}: a length of {} has no room for what is hidden, the question and filler", name, length),
        fmt::format("give a length of at least {}, or hide less", least));
    return nullptr;
  }
  return generated(reading,
                   {.length = length,
                    .vocab_size = tokenizer.vocab_size(),
                    .ids_are_bytes = tokenizer.is_bytes(),
                    .tokenizer = tokenizer.folder()},
                   std::move(draw));
}

std::string draw_number(int digits, SplitMix64& draws) {
  std::string number(1, static_cast<char>('1' + draws.below(9)));
  while (static_cast<int>(number.size()) < digits) number += static_cast<char>('0' + draws.below(10));
  return number;
}

}  // namespace attnlab::tasks
