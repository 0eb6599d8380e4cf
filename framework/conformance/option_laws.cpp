// Laws about the options that a component declares: what is out of bounds is refused.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include <attnlab/error.h>

#include "conformance/check.h"

namespace attnlab::experiment::conformance {
namespace {

// An integer has the bounds of its type, if no others.
bool declares_bounds(const OptionSpec& option) {
  const bool is_integer = option.type == OptionType::integer;
  const double infinity = std::numeric_limits<double>::infinity();
  return option.min > (is_integer ? -2147483648.0 : -infinity) || option.max < (is_integer ? 2147483647.0 : infinity);
}

// Values that the option has to refuse: on both sides of its range where it ends there, or of another type.
std::vector<std::string> values_outside(const OptionSpec& option) {
  std::vector<std::string> values;
  // Beyond 2^53 there is no whole number next to a bound.
  const auto ends = [](double bound) { return std::abs(bound) < 0x1p53; };
  switch (option.type) {
    case OptionType::choice:
      return {"no_such_choice", "17"};
    case OptionType::boolean:
      return {"17", "maybe"};
    case OptionType::budget:
      return {"-1", "1.5", "64GB"};
    case OptionType::integer:
    case OptionType::integers: {
      const auto add = [&](const std::string& value) {
        values.push_back(option.type == OptionType::integers ? "[" + value + "]" : value);
      };
      if (ends(option.min)) add(fmt::format("{:.0f}", option.min - 1));
      if (ends(option.max)) add(fmt::format("{:.0f}", option.max + 1));
      add("1.5");
      return values;
    }
    case OptionType::real:
    case OptionType::reals: {
      const bool is_list = option.type == OptionType::reals;
      const auto beyond = [&](double bound, double side) {
        const std::string value = fmt::format("{}", bound + side * std::max(1e-3, 1e-3 * std::abs(bound)));
        values.push_back(is_list ? "[" + value + "]" : value);
      };
      if (ends(option.min)) beyond(option.min, -1);
      if (ends(option.max)) beyond(option.max, 1);
      values.emplace_back(is_list ? "[.nan]" : ".nan");
      return values;
    }
    case OptionType::text:
      return {};
  }
  return values;
}

bool is_taken(const Registry& registry, const Descriptor& component, const OptionSpec& option,
              const std::string& value) {
  std::string text = value;
  std::string name = option.name;
  for (std::size_t dot = name.rfind('.'); dot != std::string::npos; dot = name.rfind('.')) {
    text = fmt::format("{{{}: {}}}", name.substr(dot + 1), text);
    name = name.substr(0, dot);
  }
  try {
    (void)choices(registry, component.kind, fmt::format("{{{}: {{{}: {}}}}}", component.id, name, text), "check");
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

std::optional<Finding> options_are_bounded(const Registry& registry, const Descriptor& component) {
  int tried = 0;
  for (const OptionSpec& option : component.options) {
    const std::vector<std::string> outside = values_outside(option);
    const bool is_number = option.type == OptionType::integer || option.type == OptionType::real;
    if (is_number && !declares_bounds(option))
      return Finding{1, 0, fmt::format("option \"{}\" declares no bounds", option.name)};
    for (const std::string& value : outside) {
      ++tried;
      if (is_taken(registry, component, option, value))
        return Finding{1, 0, fmt::format("option \"{}\" takes {}", option.name, value)};
    }
  }
  if (tried == 0) return std::nullopt;
  return Finding{0, 0, fmt::format("{} values tried", tried)};
}

}  // namespace attnlab::experiment::conformance
