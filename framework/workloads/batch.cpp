#include "workloads/batch.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <string>
#include <string_view>
#include <system_error>

#include <attnlab/error.h>
#include <fmt/format.h>

#include "base/utf8.h"
#include "config/map_reader.h"
#include "config/ranges.h"
#include "config/scalars.h"

namespace attnlab::experiment {
namespace {

constexpr const char* kGrammar = "write <count>q<new tokens>[k][s<total length>[k]], joined by _, as in 8q1s1k";
constexpr std::int64_t kMaxRows = std::numeric_limits<int>::max();

struct Fault {
  std::size_t offset = 0;
  std::string what;
};

// Throws a Fault, which only read_batch sees.
class BatchParser {
 public:
  explicit BatchParser(std::string_view text) : text_(text) {}

  Batch parse() {
    Batch batch;
    std::int64_t rows = 0;
    while (true) {
      const std::size_t start = place_;
      const BatchPart part = parse_part();
      rows += static_cast<std::int64_t>(part.count) * part.total;
      if (rows > kMaxRows) throw Fault{start, fmt::format("more than {} rows in all", kMaxRows)};
      batch.push_back(part);
      if (place_ == text_.size()) return batch;
      if (text_[place_] != '_') throw Fault{place_, fmt::format("{} is not expected here", next_character())};
      ++place_;
    }
  }

 private:
  BatchPart parse_part() {
    BatchPart part;
    if (is_digit()) part.count = parse_number(/*takes_k=*/false);
    if (!take('q')) throw Fault{place_, fmt::format("expected q, got {}", next_character())};
    part.new_tokens = parse_number(/*takes_k=*/true);
    part.total = part.new_tokens;
    if (!take('s')) return part;
    const std::size_t start = place_;
    part.total = parse_number(/*takes_k=*/true);
    if (part.total < part.new_tokens) {
      throw Fault{start, fmt::format("the total length {} is less than the {} new tokens that it includes", part.total,
                                     part.new_tokens)};
    }
    return part;
  }

  int parse_number(bool takes_k) {
    const std::size_t start = place_;
    std::int64_t number = 0;
    const char* const end = text_.data() + text_.size();
    const auto [stop, failure] = std::from_chars(text_.data() + place_, end, number);
    if (!is_digit()) throw Fault{start, fmt::format("expected a number, got {}", next_character())};
    place_ = static_cast<std::size_t>(stop - text_.data());
    const bool too_large = failure != std::errc() || number > kMaxRows;
    if (takes_k && take('k') && !too_large) number *= 1024;
    if (too_large || number > kMaxRows) throw Fault{start, fmt::format("the number is more than {}", kMaxRows)};
    if (number == 0) throw Fault{start, "the number is 0"};
    return static_cast<int>(number);
  }

  [[nodiscard]] bool is_digit() const { return place_ < text_.size() && text_[place_] >= '0' && text_[place_] <= '9'; }

  bool take(char c) {
    const bool there = place_ < text_.size() && text_[place_] == c;
    if (there) ++place_;
    return there;
  }

  [[nodiscard]] std::string next_character() const {
    if (place_ == text_.size()) return "the end";
    const std::string_view rest = text_.substr(place_);
    return config::in_quotes(rest.substr(0, static_cast<std::size_t>(first_character(rest).bytes)));
  }

  std::string_view text_;
  std::size_t place_ = 0;
};

}  // namespace

int new_tokens(const Batch& batch) {
  int tokens = 0;
  for (const BatchPart& part : batch) tokens += part.count * part.new_tokens;
  return tokens;
}

int sequences(const Batch& batch) {
  int count = 0;
  for (const BatchPart& part : batch) count += part.count;
  return count;
}

std::vector<int> totals(const Batch& batch) {
  std::vector<int> all;
  for (const BatchPart& part : batch) all.insert(all.end(), part.count, part.total);
  return all;
}

bool is_decode(const Batch& batch) {
  return std::ranges::all_of(batch, [](const BatchPart& part) { return part.new_tokens == 1 && part.total > 1; });
}

int decode_steps(const Batch& batch) {
  return std::min(kDecodeSteps, std::ranges::min(batch, {}, &BatchPart::total).total);
}

std::optional<Batch> read_batch(const config::Node& node, config::ProblemList& problems) {
  if (!node.is_scalar()) {
    problems.add(node.mark(), fmt::format("batch: expected text, got {}", config::describe(node)), kGrammar);
    return std::nullopt;
  }
  try {
    return BatchParser(node.text()).parse();
  } catch (const Fault& fault) {
    const bool in_one_line = node.text().find('\n') == std::string::npos;
    const std::size_t offset = in_one_line ? fault.offset + (node.quoted() ? 1 : 0) : 0;
    problems.add(node.mark().after(offset), fmt::format("batch {}: {}", config::in_quotes(node.text()), fault.what),
                 kGrammar);
    return std::nullopt;
  }
}

const config::KeyTable& batch_range_keys() {
  static const config::KeyTable keys = [] {
    config::KeyTable table = config::range_keys();
    for (config::Key& key : table)
      if (key.name == "range") key.form = "batch_range_ends";
    table.insert(table.begin(), {.name = "each",
                                 .type = config::KeyType::form,
                                 .doc = "A batch with * where the value of the range goes.",
                                 .required = true,
                                 .form = "batch_pattern"});
    return table;
  }();
  return keys;
}

std::vector<config::Node> expand_batches(const config::Node& node, config::ProblemList& problems) {
  const std::size_t before = problems.size();
  config::MapReader reader(node, "a batch", batch_range_keys(), problems);
  const config::Node* each = reader.find("each");
  reader.require("range");
  reader.finish();
  const auto pattern = each == nullptr ? std::nullopt : config::as_text(*each, "each", problems);
  if (pattern && std::ranges::count(*pattern, '*') != 1)
    problems.add(each->mark(),
                 fmt::format("each: {} has no place for the value, or several", config::in_quotes(*pattern)),
                 "write one *, as in q1s*");
  if (problems.size() > before || !pattern) return {};
  std::vector<config::Node::Entry> entries = node.entries();
  std::erase_if(entries, [](const config::Node::Entry& entry) { return entry.key == "each"; });
  const std::size_t star = pattern->find('*');
  std::vector<config::Node> batches;
  for (const config::Node& value :
       config::expand_range(config::Node::map(node.mark(), std::move(entries)), problems, /*takes_k=*/true)) {
    std::string text = value.text();
    // As people write it: 2048 is 2k, unless the pattern has a digit or a k right after the star.
    if (text.size() < 10 && text.find_first_not_of("0123456789") == std::string::npos && std::stoll(text) > 0 &&
        std::stoll(text) % 1024 == 0 && pattern->find_first_of("0123456789k", star) != star + 1)
      text = std::to_string(std::stoll(text) / 1024) + "k";
    batches.push_back(config::Node::scalar(value.mark(), std::string(*pattern).replace(star, 1, text), true));
  }
  return batches;
}

}  // namespace attnlab::experiment
