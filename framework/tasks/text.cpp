// Texts from files: what comes next. The tail of every file is held out, so that validation is of the same kind as what
// was trained on and never was trained on.
#include <algorithm>
#include <cmath>
#include <memory>
#include <span>

#include <fmt/format.h>

#include "config/named_path.h"
#include "report/read/text_file.h"
#include "tasks/generated.h"
#include "tasks/text_tokenizer.h"

namespace attnlab::tasks {
namespace {

enum class Windows : std::uint8_t { shuffled, sequential, anywhere };

}  // namespace
}  // namespace attnlab::tasks

template <>
inline constexpr std::array<attnlab::Choice<attnlab::tasks::Windows>, 3> attnlab::kChoices<attnlab::tasks::Windows>{
    {{"shuffled", attnlab::tasks::Windows::shuffled},
     {"sequential", attnlab::tasks::Windows::sequential},
     {"anywhere", attnlab::tasks::Windows::anywhere}}};

namespace attnlab::tasks {
namespace {

struct TextOptions {
  int context = 256;
  double held_out = 0.1;
  Windows order = Windows::shuffled;

  static constexpr auto fields() {
    using T = TextOptions;
    return std::tuple{
        field("context", &T::context,
              {.min = 1, .max = 1 << 20, .unit = "tokens", .doc = "A window of the text, with what begins it."}),
        field("held_out", &T::held_out,
              {.min = 0, .max = 0.9, .doc = "Share at the end of each file that is only for validation."}),
        field("order", &T::order,
              {.doc = "Windows side by side in an order of their own for each round, as they stand, or from places "
                      "that are drawn."})};
  }
};

// The texts of one split, and the windows that do not overlap.
struct Part {
  std::vector<IdText> texts;
  std::vector<std::int64_t> end;     // windows up to and with each text
  std::vector<std::int64_t> starts;  // the same of the places where a window can begin

  void add(IdText text, int piece) {
    const std::int64_t windows = (text.size() - 1) / piece;
    const std::int64_t places = text.size() - piece;
    end.push_back((end.empty() ? 0 : end.back()) + windows);
    starts.push_back((starts.empty() ? 0 : starts.back()) + places);
    texts.push_back(std::move(text));
  }
  std::int64_t windows() const { return end.empty() ? 0 : end.back(); }
};

class TextTask final : public Task {
 public:
  TextTask(TaskFacts facts, const TextOptions& options, std::vector<TokenId> before, Part train, Part validation)
      : facts_(std::move(facts)),
        options_(options),
        before_(std::move(before)),
        train_(std::move(train)),
        validation_(std::move(validation)) {
    for (const TokenId id : before_) highest_ = std::max(highest_, id);
    for (const Part* part : {&train_, &validation_})
      for (const IdText& text : part->texts) highest_ = std::max(highest_, text.highest());
  }

  int length() const override { return options_.context; }
  int vocab_size() const override { return highest_ + 1; }
  const TaskFacts& facts() const override { return facts_; }
  std::int64_t examples(Split split) const override {
    if (split == Split::validation) return validation_.windows();
    return options_.order == Windows::anywhere ? kEndless : train_.windows();
  }

  void example(std::uint64_t seed, Split split, std::int64_t index, Example& to) const override {
    const Part& part = split == Split::train ? train_ : validation_;
    if (split == Split::train && options_.order == Windows::anywhere) {
      SplitMix64 draws(seed, static_cast<std::uint64_t>(index));
      const auto place = static_cast<std::int64_t>(draws.below(static_cast<std::uint64_t>(part.starts.back())));
      const auto [text, first] = within(part.starts, place);
      fill(part.texts[text], first, to);
    } else {
      ATTNLAB_CHECK(index >= 0 && index < part.windows(), "a window that the text does not have");
      const auto [text, window] = within(part.end, index);
      fill(part.texts[text], window * piece(), to);
    }
  }

  // Tokens of the text that are fed; what a tokenizer begins with takes the others.
  int piece() const { return options_.context - static_cast<int>(before_.size()); }

 private:
  static std::pair<std::size_t, std::int64_t> within(const std::vector<std::int64_t>& ends, std::int64_t index) {
    const auto text = std::ranges::upper_bound(ends, index) - ends.begin();
    return {static_cast<std::size_t>(text), text == 0 ? index : index - ends[text - 1]};
  }

  void fill(const IdText& text, std::int64_t first, Example& to) const {
    to.clear();
    to.input = before_;
    text.append_to(to.input, first, piece());
    // The last token that a tokenizer begins with asks for the first of the text.
    const bool asks_for_first = !before_.empty();
    to.targets.assign(asks_for_first ? before_.size() - 1 : 0, kNoTarget);
    text.append_to(to.targets, first + (asks_for_first ? 0 : 1), piece() + (asks_for_first ? 1 : 0));
  }

  TaskFacts facts_;
  TextOptions options_;
  std::vector<TokenId> before_;
  Part train_, validation_;
  TokenId highest_ = -1;
};

// Where the held-out tail begins; never within a character.
std::size_t begin_of_tail(std::string_view text, double held_out) {
  auto begin = text.size() - static_cast<std::size_t>(std::floor(static_cast<double>(text.size()) * held_out));
  while (begin > 0 && begin < text.size() && (static_cast<unsigned char>(text[begin]) & 0xC0U) == 0x80U) --begin;
  return begin;
}

// One file, or a list of them; fewer than were named where a problem was added.
std::vector<std::pair<const config::Node*, std::filesystem::path>> read_files(const TaskReading& reading) {
  std::vector<std::pair<const config::Node*, std::filesystem::path>> files;
  const config::Node& named = *reading.node.find("files");
  if (named.is_sequence() && named.items().empty())
    reading.problems.add(named.mark(), "files: the list is empty", "name at least one text");
  for (const config::Node& node : named.is_sequence() ? std::span(named.items()) : std::span(&named, 1))
    if (auto path = config::read_path(node, "files", reading.base, config::PathKind::file, reading.problems))
      files.emplace_back(&node, std::move(*path));
  return files;
}

std::unique_ptr<Task> make_text(const TextOptions& options, const TaskReading& reading) {
  const std::size_t before = reading.problems.size();
  const auto files = read_files(reading);
  const auto tokenizer = read_tokenizer(reading);
  if (reading.problems.size() > before) return nullptr;
  std::vector<TokenId> begin = tokenizer->before_text();
  const int piece = options.context - static_cast<int>(begin.size());
  if (piece < 1) {
    reading.problems.add(reading.where,
                         fmt::format("text: a context of {} has no room for text after the {} tokens that the "
                                     "tokenizer puts before it",
                                     options.context, begin.size()),
                         "give a longer context");
    return nullptr;
  }
  TaskFacts facts = reading.facts();
  facts.ids_are_bytes = tokenizer->is_bytes();
  facts.tokenizer = tokenizer->folder();
  facts.is_sequential = options.order == Windows::sequential;
  Part train, validation;
  std::int64_t bytes = 0, ids = 0;  // of what is held out, or of all
  for (const auto& [node, path] : files) {
    facts.files.push_back(path);
    try {
      const std::string text = report::read_text(path);
      const std::size_t tail = begin_of_tail(text, options.held_out);
      const auto add = [&](Part& part, std::string_view some, const char* use) {
        IdText piece_of_text(*tokenizer, some);
        if (piece_of_text.size() <= piece)
          reading.problems.add(
              node->mark(),
              fmt::format("text: {} has {} tokens {}, fewer than a context of {} and the token after it",
                          config::in_quotes(path.string()), piece_of_text.size(), use, options.context),
              "give a shorter context, a longer text, or another share held_out");
        else
          part.add(std::move(piece_of_text), piece);
      };
      add(train, std::string_view(text).substr(0, tail), "to train on");
      if (options.held_out > 0) add(validation, std::string_view(text).substr(tail), "held out");
    } catch (const Error& error) {
      add_found(error, path, node->mark(), reading.problems);
    }
  }
  if (reading.problems.size() > before) return nullptr;
  for (const IdText& text : (options.held_out > 0 ? validation : train).texts) {
    bytes += text.text_bytes();
    ids += text.size();
  }
  facts.bytes_per_token = static_cast<double>(bytes) / static_cast<double>(ids);
  return std::make_unique<TextTask>(std::move(facts), options, std::move(begin), std::move(train),
                                    std::move(validation));
}

const RegisteredTask kText{
    task_kind<TextOptions>({.name = "text",
                            .doc = "Text files: the next token. The tail of each file is held out.",
                            .keys = {{.name = "files",
                                      .type = config::KeyType::paths,
                                      .doc = "Text files; relative to this file.",
                                      .required = true},
                                     tokenizer_key()}},
                           make_text)};

}  // namespace
}  // namespace attnlab::tasks
