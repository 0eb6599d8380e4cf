#include "config/ranges.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "config/map_reader.h"
#include "config/scalars.h"

namespace attnlab::config {
namespace {

constexpr const char* kForm = "write {range: [64, 1024], factor: 2} or {range: [64, 1024], step: 64}";

struct End {
  double value = 0;
  bool whole = false;
};

std::optional<End> read_end(const Node& node, bool takes_k, ProblemList& problems) {
  if (takes_k && node.is_scalar() && node.text().ends_with('k')) {
    const std::string digits = node.text().substr(0, node.text().size() - 1);
    if (plain_type(digits) == ScalarType::integer) {
      const auto thousands = as_integer(Node::scalar(node.mark(), digits, false), "range", problems, 1, 1 << 21);
      if (!thousands) return std::nullopt;
      return End{static_cast<double>(*thousands) * 1024, true};
    }
  }
  const auto value = as_real(node, "range", problems);
  if (!value) return std::nullopt;
  return End{*value, plain_type(node.text()) == ScalarType::integer};
}

// Rounded to 12 digits, since 0.1 + 2 * 0.1 is not 0.3.
std::string number_text(double value, bool whole_ends) {
  if (whole_ends && value == std::floor(value) && std::abs(value) < 0x1p53)
    return std::to_string(static_cast<std::int64_t>(value));
  std::string text = fmt::format("{:.12g}", value);
  if (text.find_first_not_of("-0123456789") == std::string::npos) text += ".0";
  return text;
}

}  // namespace

const KeyTable& range_keys() {
  static const KeyTable keys = {{.name = "range",
                                 .type = KeyType::form,
                                 .doc = "The first value and the greatest.",
                                 .required = true,
                                 .form = "range_ends"},
                                {.name = "factor",
                                 .type = KeyType::real,
                                 .doc = "Factor from each value to the next.",
                                 .min = 1,
                                 .nonzero = true},
                                {.name = "step",
                                 .type = KeyType::real,
                                 .doc = "Difference from each value to the next.",
                                 .min = 0,
                                 .nonzero = true}};
  return keys;
}

bool is_range(const Node& node) {
  return node.find("range") != nullptr;
}

const Node* find_range(const Node& tree) {
  if (is_range(tree)) return &tree;
  for (const Node& item : tree.items())
    if (const Node* found = find_range(item)) return found;
  for (const Node::Entry& entry : tree.entries())
    if (const Node* found = find_range(entry.value)) return found;
  return nullptr;
}

std::vector<Node> expand_range(const Node& range, ProblemList& problems, bool takes_k) {
  const std::size_t before = problems.size();
  MapReader reader(range, "a range", range_keys(), problems);
  const auto factor = reader.real("factor");
  const auto step = reader.real("step");
  reader.finish();
  const Node& ends = *range.find("range");
  if (ends.items().size() != 2) {
    problems.add(ends.mark(),
                 fmt::format("range: expected two numbers, got {}",
                             ends.is_sequence() ? fmt::format("{} values", ends.items().size()) : describe(ends)),
                 kForm);
    return {};
  }
  const auto first = read_end(ends.items()[0], takes_k, problems);
  const auto last = read_end(ends.items()[1], takes_k, problems);
  if ((range.find("factor") == nullptr) == (range.find("step") == nullptr))
    problems.add(range.mark(), "a range: give either factor or step", kForm);
  if (problems.size() > before || !first || !last) return {};
  if (last->value < first->value) problems.add(ends.mark(), "range: it ends before it begins", "the smaller one first");
  if (factor && first->value <= 0)
    problems.add(ends.mark(), "range: a factor needs a first value above 0", "give a step instead");
  if (problems.size() > before) return {};

  std::vector<Node> values;
  const double most = last->value + 1e-9 * (step ? *step : std::abs(last->value));
  double value = first->value;
  while (value <= most) {
    if (values.size() == kMaxCombinations) {
      problems.add(range.mark(), fmt::format("the range has more than {} values", kMaxCombinations),
                   "a larger factor or step makes fewer");
      return {};
    }
    values.push_back(Node::scalar(range.mark(), number_text(value, first->whole && last->whole), false));
    value = factor ? value * *factor : first->value + static_cast<double>(values.size()) * *step;
  }
  return values;
}

namespace {

// The first range in the order of the text replaced by the value.
Node with_first_range(const Node& tree, const Node*& range, const Node& value) {
  if (range == nullptr) return tree;
  if (&tree == range) {
    range = nullptr;
    return value;
  }
  if (tree.is_sequence()) {
    std::vector<Node> items;
    for (const Node& item : tree.items()) items.push_back(with_first_range(item, range, value));
    return Node::sequence(tree.mark(), std::move(items));
  }
  if (!tree.is_map()) return tree;
  std::vector<Node::Entry> entries;
  for (const Node::Entry& entry : tree.entries())
    entries.push_back({entry.key, entry.key_mark, with_first_range(entry.value, range, value)});
  return Node::map(tree.mark(), std::move(entries));
}

std::size_t nodes_in(const Node& tree) {
  std::size_t nodes = 1;
  for (const Node& item : tree.items()) nodes += nodes_in(item);
  for (const Node::Entry& entry : tree.entries()) nodes += nodes_in(entry.value);
  return nodes;
}

bool expand_into(const Node& tree, std::size_t most, std::vector<Node>& trees, ProblemList& problems) {
  const Node* range = find_range(tree);
  if (range == nullptr) {
    trees.push_back(tree);
    return true;
  }
  for (const Node& value : expand_range(*range, problems)) {
    if (trees.size() >= most) {
      problems.add(range->mark(), fmt::format("the ranges multiply out to more than {} combinations", most),
                   "a larger factor or step makes fewer");
      return false;
    }
    const Node* place = range;
    if (!expand_into(with_first_range(tree, place, value), most, trees, problems)) return false;
  }
  return true;
}

}  // namespace

std::vector<Node> expand_ranges(const Node& tree, ProblemList& problems) {
  if (find_range(tree) == nullptr) return {tree};
  const std::size_t before = problems.size();
  std::vector<Node> trees;
  // A long list beside a range is copied for every combination.
  const std::size_t most = std::min(kMaxCombinations, 20 * kMaxNodes / nodes_in(tree));
  if (!expand_into(tree, most, trees, problems) || problems.size() > before) trees.clear();
  return trees;
}

}  // namespace attnlab::config
