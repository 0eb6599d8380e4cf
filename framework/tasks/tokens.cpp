// Token ids from a file as they are: sequence s is ids[(length + 1) s ..], of which the first `length` are fed and the
// last `length` are asked for.
#include <charconv>
#include <cmath>
#include <limits>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "config/named_path.h"
#include "report/read/text_file.h"
#include "tasks/task_kind.h"

namespace attnlab::tasks {
namespace {

enum class Order : std::uint8_t { sequential, shuffled };

}  // namespace
}  // namespace attnlab::tasks

template <>
inline constexpr std::array<attnlab::Choice<attnlab::tasks::Order>, 2> attnlab::kChoices<attnlab::tasks::Order>{
    {{"sequential", attnlab::tasks::Order::sequential}, {"shuffled", attnlab::tasks::Order::shuffled}}};

namespace attnlab::tasks {
namespace {

struct TokensOptions {
  int length = 256;
  Order order = Order::sequential;
  double held_out = 0;

  static constexpr auto fields() {
    using T = TokensOptions;
    return std::tuple{
        field("length", &T::length, {.min = 1, .max = 1 << 20, .unit = "tokens", .doc = "Fed of a sequence."}),
        field("order", &T::order, {.doc = "As they stand in the file, or in an order of their own for each round."}),
        field("held_out", &T::held_out,
              {.min = 0, .max = 0.9, .doc = "Share of the sequences, the last ones, that is only for validation."})};
  }
};

class TokensTask final : public Task {
 public:
  TokensTask(TaskFacts facts, const TokensOptions& options, std::vector<TokenId> ids)
      : facts_(std::move(facts)), length_(options.length), ids_(std::move(ids)) {
    const auto all = static_cast<std::int64_t>(ids_.size()) / (length_ + 1);
    validation_ = static_cast<std::int64_t>(std::floor(static_cast<double>(all) * options.held_out));
    train_ = all - validation_;
    for (const TokenId id : ids_) highest_ = std::max(highest_, id);
  }

  int length() const override { return length_; }
  int vocab_size() const override { return highest_ + 1; }
  std::int64_t examples(Split split) const override { return split == Split::train ? train_ : validation_; }
  const TaskFacts& facts() const override { return facts_; }

  void example(std::uint64_t, Split split, std::int64_t index, Example& to) const override {
    ATTNLAB_CHECK(index >= 0 && index < examples(split), "a sequence that the file does not have");
    const std::int64_t sequence = index + (split == Split::train ? 0 : train_);
    const auto first = ids_.begin() + sequence * (length_ + 1);
    to.clear();
    to.input.assign(first, first + length_);
    to.targets.assign(first + 1, first + 1 + length_);
  }

 private:
  TaskFacts facts_;
  int length_;
  std::vector<TokenId> ids_;
  std::int64_t train_ = 0, validation_ = 0;
  TokenId highest_ = -1;
};

constexpr std::string_view kBetween = " \t\r\n";

// Whole numbers from 0, separated by blanks and line ends; nothing more is read after a problem.
std::vector<TokenId> parse_ids(const std::string& text, const std::string& file, config::ProblemList& problems) {
  std::vector<TokenId> ids;
  config::Mark place{file, 1, 0};
  std::size_t line_begin = 0;
  for (std::size_t at = 0; at < text.size();) {
    if (kBetween.find(text[at]) != std::string_view::npos) {
      if (text[at++] != '\n') continue;
      ++place.line;
      line_begin = at;
      continue;
    }
    const std::size_t stop = std::min(text.find_first_of(kBetween, at), text.size());
    TokenId id = -1;
    const auto [end, fault] = std::from_chars(text.data() + at, text.data() + stop, id);
    if (fault != std::errc() || end != text.data() + stop || id < 0 || id == std::numeric_limits<TokenId>::max()) {
      place.column = static_cast<int>(at - line_begin) + 1;
      problems.add(place, fmt::format("{} is no token id", config::in_quotes(text.substr(at, stop - at))),
                   "token ids are whole numbers from 0, separated by blanks and line ends");
      return ids;
    }
    ids.push_back(id);
    at = stop;
  }
  return ids;
}

std::unique_ptr<Task> make_tokens(const TokensOptions& options, const TaskReading& reading) {
  const std::size_t before = reading.problems.size();
  const config::Node& node = *reading.node.find("file");
  const auto path = config::read_path(node, "file", reading.base, config::PathKind::file, reading.problems);
  if (!path) return nullptr;
  std::vector<TokenId> ids;
  try {
    ids = parse_ids(report::read_text(*path), path->string(), reading.problems);
  } catch (const Error& error) {
    add_found(error, *path, node.mark(), reading.problems);
  }
  if (reading.problems.size() > before) return nullptr;
  TaskFacts facts = reading.facts();
  facts.is_sequential = options.order == Order::sequential;
  facts.files = {*path};
  auto task = std::make_unique<TokensTask>(std::move(facts), options, std::move(ids));
  const auto too_few = [&](const char* use) {
    reading.problems.add(node.mark(),
                         fmt::format("tokens: {} has no sequence of {} tokens and the one after it {}",
                                     config::in_quotes(path->string()), options.length, use),
                         "give a shorter length, or a longer file");
  };
  if (task->examples(Split::train) == 0) too_few("to train on");
  if (options.held_out > 0 && task->examples(Split::validation) == 0) too_few("to hold out");
  return reading.problems.size() > before ? nullptr : std::move(task);
}

const RegisteredTask kTokens{
    task_kind<TokensOptions>({.name = "tokens",
                              .doc = "Token ids from a file, as they are.",
                              .keys = {{.name = "file",
                                        .type = config::KeyType::path,
                                        .doc = "Ids separated by blanks and line ends; relative to this file.",
                                        .required = true}}},
                             make_tokens)};

}  // namespace
}  // namespace attnlab::tasks
