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

// Options with which a component can run in the small model, where its defaults are for large ones.
std::string spelled(const Descriptor& component) {
  const auto has = [&](std::string_view name) {
    return std::any_of(component.options.begin(), component.options.end(),
                       [&](const OptionSpec& option) { return option.name == name; });
  };
  if (component.kind == Kind::attention && has("kv_lora_rank") && has("qk_rope_head_dim"))
    return fmt::format("{{{}: {{kv_lora_rank: 24, qk_nope_head_dim: 16, qk_rope_head_dim: 8, v_head_dim: 12}}}}", component.id);
  return component.id;
}

ComponentChoice choice(const Registry& registry, Kind kind, const std::string& id) {
  return choices(registry, kind, spelled(registry.get(kind, id, id)), id).front();
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

}  // namespace

std::optional<Finding> options_are_bounded(const Registry& registry, const Descriptor& component) {
  int tried = 0;
  for (const OptionSpec& option : component.options) {
    std::string wrong;
    if (option.type == OptionType::choice) wrong = "no_such_choice";
    else if (option.type == OptionType::boolean) wrong = "17";
    else if (option.type == OptionType::budget) wrong = "-1";
    else if (option.type == OptionType::integer || option.type == OptionType::real) {
      const bool open = option.min <= (option.type == OptionType::integer ? -2147483648.0 : -1e300);
      if (open && option.max >= 2147483647.0)
        return Finding{1, 0, fmt::format("option \"{}\" declares no bounds", option.name)};
      wrong = open ? fmt::format("{}", option.max + 1) : fmt::format("{}", option.min - 1);
    } else {
      continue;
    }
    ++tried;
    std::string text = wrong;
    std::string name = option.name;
    for (std::size_t dot = name.rfind('.'); dot != std::string::npos; dot = name.rfind('.')) {
      text = fmt::format("{{{}: {}}}", name.substr(dot + 1), text);
      name = name.substr(0, dot);
    }
    try {
      (void)choices(registry, component.kind, fmt::format("{{{}: {{{}: {}}}}}", component.id, name, text), "check");
      return Finding{1, 0, fmt::format("option \"{}\" takes {}", option.name, wrong)};
    } catch (const Error&) {
    }
  }
  if (tried == 0) return std::nullopt;
  return Finding{};
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
