// Tasks whose examples are drawn: what is left to a kind's file is to draw one. Which split an example belongs to is
// settled here.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include <attnlab/api.h>
#include <attnlab/random.h>

#include "tasks/task.h"
#include "tasks/task_kind.h"

namespace attnlab::tasks {

struct GeneratedShape {
  int length = 0;
  int vocab_size = 0;
  /// The input has one right answer at each target: accuracy is a measure, and an input belongs to one split only. Else
  /// targets are draws of a distribution, every sequence can come up in both splits, and its chance is not changed.
  bool has_answers = true;
  bool ids_are_bytes = false;            // as in TaskFacts
  std::filesystem::path tokenizer = {};  // as in TaskFacts
};

/// Fills an empty example; called by any number of threads at once.
using DrawExample = std::function<void(SplitMix64& draws, Example& to)>;

/// Null pointer and a problem where one of the splits has no input at all. The best predictor of every kind that is
/// made here is known.
[[nodiscard]] std::unique_ptr<Task> generated(const TaskReading& reading, const GeneratedShape& shape,
                                              DrawExample draw);

/// An eighth of all inputs is held out, whatever the seed.
[[nodiscard]] ATTNLAB_API Split split_of(std::span<const TokenId> input) noexcept;

/// `count` different ones of first .. end - 1, in the order drawn; all orders are equally likely.
[[nodiscard]] ATTNLAB_API std::vector<TokenId> draw_distinct(TokenId first, TokenId end, int count, SplitMix64& draws);

/// What is fed where an answer is asked for.
enum class Feed : std::uint8_t { answer, blank };

/// Appends a marker and the place of the answer to a prompt, and asks for it. Feed::answer: after the marker and each
/// token of the answer the next is asked for, and the last is not fed. Feed::blank: the token is asked for after each
/// of as many blanks. The answers are certain, so their optimum is 0.
void ask(std::span<const TokenId> answer, TokenId marker, Feed feed, TokenId blank, Example& to);
/// Tokens that ask() appends.
[[nodiscard]] constexpr int asked_tokens(int answers, Feed feed) noexcept {
  return feed == Feed::answer ? answers : answers + 1;
}

}  // namespace attnlab::tasks

template <>
inline constexpr std::array<attnlab::Choice<attnlab::tasks::Feed>, 2> attnlab::kChoices<attnlab::tasks::Feed>{
    {{"answer", attnlab::tasks::Feed::answer}, {"blank", attnlab::tasks::Feed::blank}}};
