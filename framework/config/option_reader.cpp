#include "config/option_reader.h"

#include <algorithm>
#include <type_traits>
#include <utility>
#include <variant>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "config/scalars.h"

namespace attnlab::config {
namespace {

template <class Value>
OptionValue held(std::optional<Value> value) {
  return value ? OptionValue(*std::move(value)) : OptionValue();
}

OptionValue read_budget(const Node& node, std::string_view name, ProblemList& problems) {
  std::string fault = "is no budget";
  if (const auto budget = node.is_scalar() ? Budget::parse(node.text(), &fault) : std::nullopt) return budget->text();
  problems.add(node.mark(), fmt::format("{}: {} {}", name, describe(node), fault),
               "write a count of tokens (64), a share of each sequence (0.25 or 25%) or bytes of a sequence (512KiB)");
  return {};
}

std::optional<std::int64_t> read_integer(const Node& node, const OptionSpec& spec, ProblemList& problems) {
  const auto value = as_integer(node, spec.name, problems);
  if (!value) return {};
  const std::string fault = bounds_fault(*value, spec.min, spec.max);
  if (fault.empty()) return value;
  problems.add(node.mark(), fmt::format("{}: {}", spec.name, fault));
  return {};
}

OptionValue read_integers(const Node& node, const OptionSpec& spec, ProblemList& problems) {
  if (!node.is_sequence()) {
    problems.add(node.mark(), fmt::format("{}: expected a list of integers, got {}", spec.name, describe(node)));
    return {};
  }
  std::vector<std::int64_t> values;
  for (const Node& item : node.items())
    if (const auto value = read_integer(item, spec, problems)) values.push_back(*value);
  return values.size() == node.items().size() ? OptionValue(std::move(values)) : OptionValue();
}

OptionValue read_value(const Node& node, const OptionSpec& spec, ProblemList& problems) {
  switch (spec.type) {
    case OptionType::boolean:
      return held(as_bool(node, spec.name, problems));
    case OptionType::real:
      return held(as_real(node, spec.name, problems, spec.min, spec.max));
    case OptionType::text:
      return held(as_text(node, spec.name, problems));
    case OptionType::choice:
      return held(as_choice(node, spec.name, spec.choices, problems));
    case OptionType::integers:
      return read_integers(node, spec, problems);
    case OptionType::reals:
      return held(as_reals(node, spec.name, problems, spec.min, spec.max));
    case OptionType::budget:
      return read_budget(node, spec.name, problems);
    case OptionType::integer:
      break;
  }
  return held(read_integer(node, spec, problems));
}

}  // namespace

namespace {

// Options whose names have a dot are written in a map of their own: `protect: {first: 4}` gives protect.first.
void read_entries(const Node& options, const std::string& prefix, const OptionSchema& schema, std::string_view owner,
                  ProblemList& problems, const std::vector<std::string>& others, OptionValues& values) {
  std::vector<std::string> known;
  for (const OptionSpec& spec : schema)
    if (spec.name.starts_with(prefix)) {
      const std::string rest = spec.name.substr(prefix.size());
      const std::string own = rest.substr(0, rest.find('.'));
      if (std::ranges::find(known, own) == known.end()) known.push_back(own);
    }
  known.insert(known.end(), others.begin(), others.end());
  for (const Node::Entry& entry : options.entries()) {
    const std::string name = prefix + entry.key;
    if (const auto spec = std::ranges::find(schema, name, &OptionSpec::name); spec != schema.end()) {
      if (OptionValue value = read_value(entry.value, *spec, problems); value.index() != 0)
        values.emplace(name, std::move(value));
    } else if (std::ranges::find(known, entry.key) != known.end() &&
               std::ranges::find(others, entry.key) == others.end()) {
      if (entry.value.is_map())
        read_entries(entry.value, name + ".", schema, owner, problems, {}, values);
      else
        problems.add(entry.value.mark(), fmt::format("{}: expected a map, got {}", name, describe(entry.value)));
    } else if (std::ranges::find(others, entry.key) == others.end()) {
      problems.add(entry.key_mark, fmt::format("unknown option {} of \"{}\"", in_quotes(name), owner),
                   known.empty() ? "it takes no options" : key_remedy(entry.key, known, "options"));
    }
  }
}

}  // namespace

OptionValues read_options(const Node& options, const OptionSchema& schema, std::string_view owner,
                          ProblemList& problems, const std::vector<std::string>& others) {
  if (!options.is_map() && !options.is_null()) {
    problems.add(options.mark(), fmt::format("options of \"{}\": expected a map, got {}", owner, describe(options)));
    return {};
  }
  OptionValues values;
  read_entries(options, "", schema, owner, problems, others, values);
  return values;
}

std::string option_text(const OptionValue& value) {
  return std::visit(
      []<class Value>(const Value& held) -> std::string {
        if constexpr (std::is_same_v<Value, std::monostate>)
          return "";
        else if constexpr (std::is_same_v<Value, std::vector<double>> ||
                           std::is_same_v<Value, std::vector<std::int64_t>>)
          return fmt::format("[{}]", fmt::join(held, ","));
        else
          return fmt::format("{}", held);
      },
      value);
}

}  // namespace attnlab::config
