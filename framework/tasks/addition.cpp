// Addition of two numbers of as many digits, written out: 0 5 + 9 7 = 2 0 1 where the sum begins with its last digit,
// in the order in which carries arise (Lee et al. 2023, "Teaching arithmetic to small transformers").
#include <algorithm>

#include "tasks/generated.h"

namespace attnlab::tasks {
namespace {

enum class Digits : std::uint8_t { reversed, plain };

}  // namespace
}  // namespace attnlab::tasks

template <>
inline constexpr std::array<attnlab::Choice<attnlab::tasks::Digits>, 2> attnlab::kChoices<attnlab::tasks::Digits>{
    {{"reversed", attnlab::tasks::Digits::reversed}, {"plain", attnlab::tasks::Digits::plain}}};

namespace attnlab::tasks {
namespace {

constexpr TokenId kPlus = 10;  // after the ten digits
constexpr TokenId kEquals = 11;

struct AdditionOptions {
  int digits = 3;
  Digits sum = Digits::reversed;

  static constexpr auto fields() {
    using A = AdditionOptions;
    return std::tuple{
        field("digits", &A::digits, {.min = 1, .max = 1 << 16, .doc = "Of each number, with leading zeros."}),
        field("sum", &A::sum, {.doc = "Whether the sum begins with its last digit or with its first."})};
  }
};

void draw_addition(const AdditionOptions& options, SplitMix64& draws, Example& to) {
  for (int i = 0; i <= 2 * options.digits; ++i)
    to.input.push_back(i == options.digits ? kPlus : static_cast<TokenId>(draws.below(10)));
  std::vector<TokenId> sum;  // from the last digit
  TokenId carry = 0;
  for (int digit = options.digits - 1; digit >= 0; --digit) {
    const TokenId both = to.input[digit] + to.input[options.digits + 1 + digit] + carry;
    sum.push_back(both % 10);
    carry = both / 10;
  }
  sum.push_back(carry);
  if (options.sum == Digits::plain) std::ranges::reverse(sum);
  ask(sum, kEquals, Feed::answer, kEquals, to);
}

std::unique_ptr<Task> make_addition(const AdditionOptions& options, const TaskReading& reading) {
  const int question = 2 * options.digits + 1;
  return generated(reading,
                   {.length = question + asked_tokens(options.digits + 1, Feed::answer), .vocab_size = kEquals + 1},
                   [options](SplitMix64& draws, Example& to) { draw_addition(options, draws, to); });
}

const RegisteredTask kAddition{
    task_kind<AdditionOptions>({.name = "addition",
                                .doc = "Two numbers and their sum, digit by digit; the sum is asked for.",
                                .paper = "Lee et al. 2023 (arXiv:2307.03381)",
                                .keys = {examples_key()}},
                               make_addition)};

}  // namespace
}  // namespace attnlab::tasks
