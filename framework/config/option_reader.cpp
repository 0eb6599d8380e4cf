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
    case OptionType::reals:
      return held(as_reals(node, spec.name, problems, spec.min, spec.max));
    case OptionType::integer:
      break;
  }
  const auto value = as_integer(node, spec.name, problems);
  if (!value) return {};
  if (const std::string fault = bounds_fault(*value, spec.min, spec.max); !fault.empty()) {
    problems.add(node.mark(), fmt::format("{}: {}", spec.name, fault));
    return {};
  }
  return *value;
}

}  // namespace

OptionValues read_options(const Node& options, const OptionSchema& schema, std::string_view owner,
                          ProblemList& problems, const std::vector<std::string>& others) {
  if (!options.is_map() && !options.is_null()) {
    problems.add(options.mark(), fmt::format("options of \"{}\": expected a map, got {}", owner, describe(options)));
    return {};
  }
  OptionValues values;
  std::vector<std::string> known;
  for (const OptionSpec& spec : schema) known.push_back(spec.name);
  known.insert(known.end(), others.begin(), others.end());
  for (const Node::Entry& entry : options.entries()) {
    if (const auto spec = std::ranges::find(schema, entry.key, &OptionSpec::name); spec != schema.end()) {
      if (OptionValue value = read_value(entry.value, *spec, problems); value.index() != 0)
        values.emplace(entry.key, std::move(value));
    } else if (std::ranges::find(others, entry.key) == others.end()) {
      problems.add(entry.key_mark, fmt::format("unknown option {} of \"{}\"", in_quotes(entry.key), owner),
                   known.empty() ? "it takes no options" : key_remedy(entry.key, known, "options"));
    }
  }
  return values;
}

std::string option_text(const OptionValue& value) {
  return std::visit(
      []<class Value>(const Value& held) -> std::string {
        if constexpr (std::is_same_v<Value, std::monostate>)
          return "";
        else if constexpr (std::is_same_v<Value, std::vector<double>>)
          return fmt::format("[{}]", fmt::join(held, ","));
        else
          return fmt::format("{}", held);
      },
      value);
}

}  // namespace attnlab::config
