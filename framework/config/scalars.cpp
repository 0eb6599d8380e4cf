#include "config/scalars.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <system_error>
#include <utility>

#include <attnlab/error.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "config/ranges.h"

namespace attnlab::config {
namespace {

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> spellings) {
  return std::ranges::find(spellings, text) != spellings.end();
}

std::string_view without_sign(std::string_view text) {
  if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
  return text;
}

std::size_t digits(std::string_view text) {
  return std::min(text.find_first_not_of("0123456789"), text.size());
}

// [-+]?[0-9]+, 0o[0-7]+, 0x[0-9a-fA-F]+
bool is_integer(std::string_view text) {
  if (text.starts_with("0o") && text.size() > 2) return text.find_first_not_of("01234567", 2) == text.npos;
  if (text.starts_with("0x") && text.size() > 2)
    return text.find_first_not_of("0123456789abcdefABCDEF", 2) == text.npos;
  text = without_sign(text);
  return !text.empty() && digits(text) == text.size();
}

bool is_infinity(std::string_view text) {
  return is_one_of(without_sign(text), {".inf", ".Inf", ".INF"});
}
bool is_nan(std::string_view text) {
  return is_one_of(text, {".nan", ".NaN", ".NAN"});
}

// [-+]? ( \.[0-9]+ | [0-9]+ (\.[0-9]*)? ) ([eE][-+]?[0-9]+)?
bool is_finite_real(std::string_view text) {
  text = without_sign(text);
  const std::size_t whole = digits(text);
  text.remove_prefix(whole);
  std::size_t fraction = 0;
  if (text.starts_with('.')) {
    fraction = digits(text.substr(1));
    text.remove_prefix(fraction + 1);
  }
  if (whole + fraction == 0) return false;
  if (text.empty()) return true;
  if (!text.starts_with('e') && !text.starts_with('E')) return false;
  text = without_sign(text.substr(1));
  return !text.empty() && digits(text) == text.size();
}

// Of a text that is_integer; none beyond the type's range.
template <class Integer>
std::optional<Integer> to_integer(std::string_view text) {
  int base = 10;
  if (text.starts_with("0o") || text.starts_with("0x")) {
    base = text[1] == 'o' ? 8 : 16;
    text.remove_prefix(2);
  } else if (text.starts_with('+')) {
    text.remove_prefix(1);
  }
  Integer value{};
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (failure != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Of a text that is an integer or a finite real; none beyond the range of a double.
std::optional<double> to_real(std::string_view text) {
  if (is_integer(text)) {
    if (const auto integer = to_integer<std::int64_t>(text)) return static_cast<double>(*integer);
    if (text.starts_with("0")) return std::nullopt;
  }
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

ScalarType type_of(const Node& node) {
  if (!node.is_scalar()) return ScalarType::null;
  return node.quoted() ? ScalarType::text : plain_type(node.text());
}

std::string named(std::string_view name, const std::string& what) {
  return name.empty() ? what : fmt::format("{}: {}", name, what);
}

void add_wrong_type(const Node& node, std::string_view name, ProblemList& problems, std::string_view expected,
                    std::string remedy = {}) {
  problems.add(node.mark(), named(name, fmt::format("expected {}, got {}", expected, describe(node))),
               std::move(remedy));
}

template <class Read>
auto read_each(const Node& list, const Read& read)
    -> std::optional<std::vector<typename decltype(read(list))::value_type>> {
  std::vector<typename decltype(read(list))::value_type> values;
  for (const Node& item : list.items())
    if (auto value = read(item)) values.push_back(*std::move(value));
  if (values.size() != list.items().size()) return std::nullopt;
  return values;
}

template <class Number>
std::string fault(Number value, bool above_min, bool below_max, bool has_min, bool has_max, double min, double max) {
  if (above_min && below_max) return {};
  if (has_min && has_max) return fmt::format("{} is outside {}..{}", value, min, max);
  return above_min ? fmt::format("{} is more than {}", value, max) : fmt::format("{} is less than {}", value, min);
}

}  // namespace

ScalarType plain_type(std::string_view text) {
  if (is_one_of(text, {"", "~", "null", "Null", "NULL"})) return ScalarType::null;
  if (is_one_of(text, {"true", "True", "TRUE", "false", "False", "FALSE"})) return ScalarType::boolean;
  if (is_integer(text)) return ScalarType::integer;
  return is_finite_real(text) || is_infinity(text) || is_nan(text) ? ScalarType::real : ScalarType::text;
}

std::string describe(const Node& node) {
  if (node.is_map()) return "a map";
  if (node.is_sequence()) return "a list";
  switch (type_of(node)) {
    case ScalarType::null:
      return "nothing";
    case ScalarType::text:
      return "text " + in_quotes(node.text());
    default:
      return node.text();
  }
}

std::string bounds_fault(std::int64_t value, double min, double max) {
  constexpr double kLimit = 0x1p63;  // the first double that no int64 reaches
  const bool has_min = min > -kLimit;
  const bool has_max = max < kLimit;
  const bool above_min = !has_min || value >= static_cast<std::int64_t>(std::ceil(min));
  const bool below_max = !has_max || value <= static_cast<std::int64_t>(std::floor(max));
  return fault(value, above_min, below_max, has_min, has_max, min, max);
}

std::string bounds_fault(double value, double min, double max) {
  return fault(value, value >= min, value <= max, std::isfinite(min), std::isfinite(max), min, max);
}

std::optional<std::int64_t> as_integer(const Node& node, std::string_view name, ProblemList& problems, std::int64_t min,
                                       std::int64_t max) {
  if (type_of(node) != ScalarType::integer) {
    add_wrong_type(node, name, problems, "an integer");
    return std::nullopt;
  }
  const auto value = to_integer<std::int64_t>(node.text());
  if (!value) {
    problems.add(node.mark(), named(name, node.text() + " does not fit in 64 bits"));
    return std::nullopt;
  }
  if (*value < min || *value > max) {
    problems.add(node.mark(), named(name, bounds_fault(*value, static_cast<double>(min), static_cast<double>(max))));
    return std::nullopt;
  }
  return value;
}

std::optional<double> as_real(const Node& node, std::string_view name, ProblemList& problems, double min, double max) {
  const ScalarType type = type_of(node);
  if (type != ScalarType::integer && type != ScalarType::real) {
    add_wrong_type(node, name, problems, "a number");
    return std::nullopt;
  }
  if (is_infinity(node.text()) || is_nan(node.text())) {
    add_wrong_type(node, name, problems, "a finite number");
    return std::nullopt;
  }
  const auto value = to_real(node.text());
  if (!value) {
    problems.add(node.mark(), named(name, node.text() + " does not fit in a double"));
    return std::nullopt;
  }
  if (std::string what = bounds_fault(*value, min, max); !what.empty()) {
    problems.add(node.mark(), named(name, what));
    return std::nullopt;
  }
  return value;
}

std::optional<bool> as_bool(const Node& node, std::string_view name, ProblemList& problems) {
  if (type_of(node) == ScalarType::boolean) return node.text().starts_with('t') || node.text().starts_with('T');
  add_wrong_type(node, name, problems, "true or false");
  return std::nullopt;
}

std::optional<std::string> as_text(const Node& node, std::string_view name, ProblemList& problems) {
  if (type_of(node) == ScalarType::text) return node.text();
  add_wrong_type(node, name, problems, "text", node.is_scalar() ? "put it in quotes" : "");
  return std::nullopt;
}

std::optional<std::string> as_choice(const Node& node, std::string_view name, const std::vector<std::string>& choices,
                                     ProblemList& problems) {
  // Raw text: a choice may be spelled like a number.
  if (node.is_scalar() && std::ranges::find(choices, node.text()) != choices.end()) return node.text();
  const std::string nearest = node.is_scalar() ? nearest_name(node.text(), choices) : std::string();
  add_wrong_type(node, name, problems, fmt::format("one of {}", fmt::join(choices, ", ")),
                 nearest.empty() ? "" : fmt::format("did you mean \"{}\"?", nearest));
  return std::nullopt;
}

std::optional<std::vector<std::int64_t>> as_integers(const Node& node, std::string_view name, ProblemList& problems,
                                                     std::int64_t min, std::int64_t max) {
  if (node.is_sequence() && node.items().empty()) {
    problems.add(node.mark(), named(name, "the list is empty"));
    return std::nullopt;
  }
  std::vector<std::int64_t> values;
  bool complete = true;
  const std::vector<Node> single = {node};
  for (const Node& item : node.is_sequence() ? node.items() : single) {
    const bool several = is_range(item);
    const std::vector<Node> written = several ? expand_range(item, problems) : std::vector{item};
    complete = complete && !written.empty();
    for (const Node& one : written) {
      const auto value = as_integer(one, name, problems, min, max);
      complete = complete && value;
      if (value) values.push_back(*value);
      if (several && !value) break;  // the others of the range would say the same
    }
  }
  return complete ? std::optional(values) : std::nullopt;
}

std::optional<std::vector<double>> as_reals(const Node& node, std::string_view name, ProblemList& problems, double min,
                                            double max) {
  if (node.is_sequence())
    return read_each(node, [&](const Node& item) { return as_real(item, name, problems, min, max); });
  add_wrong_type(node, name, problems, "a list of numbers");
  return std::nullopt;
}

std::optional<std::vector<std::string>> as_texts(const Node& node, std::string_view name, ProblemList& problems) {
  if (node.is_sequence()) return read_each(node, [&](const Node& item) { return as_text(item, name, problems); });
  add_wrong_type(node, name, problems, "a list of texts");
  return std::nullopt;
}

nlohmann::ordered_json to_json(const Node& node) {
  using Json = nlohmann::ordered_json;
  if (node.is_map()) {
    Json object = Json::object();
    for (const Node::Entry& entry : node.entries()) object[entry.key] = to_json(entry.value);
    return object;
  }
  if (node.is_sequence()) {
    Json array = Json::array();
    for (const Node& item : node.items()) array.push_back(to_json(item));
    return array;
  }
  switch (type_of(node)) {
    case ScalarType::null:
      return nullptr;
    case ScalarType::boolean:
      return node.text().starts_with('t') || node.text().starts_with('T');
    case ScalarType::text:
      return node.text();
    case ScalarType::integer:
      if (const auto value = to_integer<std::int64_t>(node.text())) return *value;
      if (const auto value = to_integer<std::uint64_t>(node.text())) return *value;
      [[fallthrough]];
    case ScalarType::real:
      break;
  }
  ProblemList problems;
  const auto value = as_real(node, "", problems);
  problems.throw_if_any();
  return *value;
}

}  // namespace attnlab::config
