#include "experiment/conformance/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include <attnlab/error.h>

#include "experiment/spec_layers.h"

namespace attnlab::experiment::conformance {
namespace {

// The other kinds that a component is crossed with: what differs in kind, not everything that there is.
const std::vector<std::string>& partners(Kind kind) {
  static const std::vector<std::string> attention{"gqa", "mqa", "mha"};
  static const std::vector<std::string> position{"rope", "alibi", "none"};
  static const std::vector<std::string> cache{"full", "window", "h2o"};
  return kind == Kind::attention ? attention : kind == Kind::position ? position : cache;
}

ComponentChoice choice(const Registry& registry, Kind kind, const std::string& id) {
  return choices(registry, kind, id, id).front();
}

std::vector<Composition> combinations(const Registry& registry, const Descriptor& component) {
  std::vector<Composition> all;
  const auto ids = [&](Kind kind) {
    if (kind == component.kind) return std::vector<std::string>{component.id};
    std::vector<std::string> there;
    for (const std::string& id : partners(kind))
      if (registry.find(kind, id) != nullptr) there.push_back(id);
    return there;
  };
  for (const std::string& attention : ids(Kind::attention))
    for (const std::string& position : ids(Kind::position))
      for (const std::string& cache : ids(Kind::cache)) {
        Composition parts = compose(registry, choice(registry, Kind::attention, attention),
                                    choice(registry, Kind::position, position), choice(registry, Kind::cache, cache));
        if (parts.conflicts.empty()) all.push_back(std::move(parts));
      }
  return all;
}

double badness(const Finding& finding) {
  if (std::isnan(finding.deviation)) return std::numeric_limits<double>::infinity();
  if (finding.allowed > 0) return finding.deviation / finding.allowed;
  return finding.deviation > 0 ? 1e300 * std::min(1.0, finding.deviation) : 0;
}

void take(Verdict& verdict, const Finding& finding, const std::string& on) {
  if (verdict.combinations == 0 || badness(finding) > badness(verdict.worst)) {
    verdict.worst = finding;
    verdict.on = on;
  }
  ++verdict.combinations;
}

// Every law on one combination; verdicts[0] is that of the options.
void examine(Subject& subject, Kind kind, const std::string& name, std::vector<Verdict>& verdicts) {
  for (std::size_t i = 0; i < laws().size(); ++i) {
    std::optional<Finding> finding;
    try {
      finding = laws()[i].examine(subject, kind);
    } catch (const std::exception& error) {
      finding = Finding{1, 0, error.what()};
    }
    if (finding) take(verdicts[i + 1], *finding, name);
  }
}

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
      if (ends(option.min)) values.push_back(fmt::format("{:.0f}", option.min - 1));
      if (ends(option.max)) values.push_back(fmt::format("{:.0f}", option.max + 1));
      values.emplace_back("1.5");
      return values;
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

std::vector<Verdict> check(const Registry& registry, const Descriptor& component) {
  std::vector<Verdict> verdicts;
  Verdict options{.law = "options out of bounds are refused"};
  if (const auto finding = options_are_bounded(registry, component)) take(options, *finding, component.id);
  verdicts.push_back(options);
  Verdict made{.law = "can be made and run"};
  for (const Law& law : laws()) verdicts.push_back({.law = law.name});
  const std::vector<Composition> all = combinations(registry, component);
  if (all.empty()) take(made, {1, 0, "goes together with none of the representative components"}, component.id);
  for (const Composition& parts : all) {
    const std::string name = fmt::format("{}/{}/{}", parts.attention.id, parts.position.id, parts.cache.id);
    try {
      Subject subject(registry, parts);
      (void)subject.run(tokens(3, 1), tokens(1, 2));
      take(made, {}, name);
      examine(subject, component.kind, name, verdicts);
      if (component.kind != Kind::cache) continue;
      if (const auto small = evicting(subject)) {
        Subject tight = subject.with_cache(*small);
        examine(tight, component.kind, name + ", evicting", verdicts);
      }
    } catch (const std::exception& error) {
      take(made, {1, 0, error.what()}, name);
    }
  }
  verdicts.insert(verdicts.begin(), made);
  return verdicts;
}

}  // namespace attnlab::experiment::conformance
