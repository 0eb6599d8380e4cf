#include "conformance/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include <nlohmann/json.hpp>

#include <attnlab/error.h>

#include "base/line_process.h"
#include "base/plugin_call.h"
#include "choices/layered_choice.h"
#include "choices/plain_components.h"
#include "parallel/parallel.h"

namespace attnlab::experiment::conformance {
namespace {

// The laws of storages are tested in caches of each of the partners.
std::vector<std::string> partners(Kind kind) {
  const auto& names = kind == Kind::attention  ? kAttentionPartners
                      : kind == Kind::position ? kPositionPartners
                                               : kCachePartners;
  return {names.begin(), names.end()};
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
        ComponentChoice policy = choice(registry, Kind::cache, cache);
        if (component.kind == Kind::storage) policy.storage = default_choice(component);
        Composition parts = compose(registry, choice(registry, Kind::attention, attention),
                                    choice(registry, Kind::position, position), std::move(policy));
        if (parts.conflicts.empty()) all.push_back(std::move(parts));
      }
  return all;
}

double badness(const Finding& finding) {
  if (std::isnan(finding.deviation)) return std::numeric_limits<double>::infinity();
  if (finding.allowed > 0) return finding.deviation / finding.allowed;
  return finding.deviation > 0 ? 1e300 * std::min(1.0, finding.deviation) : 0;
}

// Takes a finding into a verdict: the worst stays.
void take(Verdict& verdict, const Finding& finding, const std::string& on) {
  if (verdict.combinations == 0 || badness(finding) > badness(verdict.worst)) {
    verdict.worst = finding;
    verdict.on = on;
  }
  ++verdict.combinations;
}

using nlohmann::json;

// Numbers as text: a deviation may be infinite.
json to_json(const Verdict& verdict) {
  return {{"law", verdict.law},
          {"combinations", verdict.combinations},
          {"deviation", fmt::format("{}", verdict.worst.deviation)},
          {"allowed", fmt::format("{}", verdict.worst.allowed)},
          {"what", verdict.worst.what},
          {"on", verdict.on}};
}

Verdict verdict_of(const json& from) {
  const auto number = [&](const char* key) { return std::strtod(from.at(key).get<std::string>().c_str(), nullptr); };
  return {.law = from.at("law"),
          .combinations = from.at("combinations"),
          .worst = {number("deviation"), number("allowed"), from.at("what")},
          .on = from.at("on")};
}

// Texts of plugins may be no UTF-8.
std::string line_of(const json& from) {
  return from.dump(-1, ' ', false, json::error_handler_t::replace);
}

// A component in one combination, in a model that was made but not run.
struct Candidate {
  Subject subject;
  std::string name;
};

using Examine = std::function<std::optional<Finding>(Candidate& candidate)>;

// One law on all candidates, in a process of its own.
Verdict examine_apart(const std::string& law, std::vector<Candidate>& candidates, const Examine& examine,
                      double seconds) {
  LineProcess process([&](const LineProcess::Send& send) {
    set_threads(available_processors());
    const CarefulCalls careful;
    Verdict verdict{.law = law};
    for (Candidate& candidate : candidates) {
      send(line_of({{"trying", candidate.name}}));
      std::optional<Finding> finding;
      try {
        finding = examine(candidate);
      } catch (...) {
        finding = Finding{1, 0, current_exception_text()};
      }
      if (finding) take(verdict, *finding, candidate.name);
    }
    send(line_of(to_json(verdict)));
  });
  const auto start = LineProcess::Clock::now();  // the limit is of the law, not of each combination
  std::string on;
  while (const auto line = process.next(seconds, start)) {
    const json said = json::parse(*line);
    if (!said.contains("trying")) return verdict_of(said);
    on = said.at("trying");
  }
  Verdict broken{.law = law};
  take(broken, {1, 0, process.why()}, on);
  return broken;
}

// The library of products compiles a kernel for every number of tokens at its first use, which takes longer than a law:
// here, once, and not in every process that is forked. On one thread, so that none is started.
void compile_kernels(const Registry& registry) {
  const auto is_there = [&](Kind kind, const char* id) { return registry.find(kind, id) != nullptr; };
  if (!is_there(Kind::position, kPlainPosition) || !is_there(Kind::cache, kPlainCache)) return;
  for (const std::string& attention : partners(Kind::attention)) {
    if (!is_there(Kind::attention, attention.c_str())) continue;
    Subject subject(registry, compose(registry, choice(registry, Kind::attention, attention),
                                      choice(registry, Kind::position, kPlainPosition),
                                      choice(registry, Kind::cache, kPlainCache)));
    for (const int count : {7, 11, 16, 33, 35, 40, 50, 64, 70, 75, 83, 100, 111, 300})  // as the laws feed them
      (void)subject.run(tokens(count, 1), {});
  }
}

constexpr const char* kMade = "can be made and run";
constexpr const char* kBounded = "options out of bounds are refused";

// In the process of a component, which runs no model and so starts no threads: makes all candidates, then forks for
// every law. Combinations that are left out have ended such a process before.
void examine_component(const Registry& registry, const Descriptor& component, const std::vector<std::string>& left_out,
                       double seconds, const LineProcess::Send& send) {
  set_threads(1);
  compile_kernels(registry);
  Verdict made{.law = kMade};
  std::vector<Candidate> candidates;
  const auto add = [&](const std::string& name, const auto& make) {
    if (std::ranges::find(left_out, name) != left_out.end()) return;
    send(line_of({{"making", name}}));
    try {
      if (std::optional<Subject> subject = make()) candidates.push_back({std::move(*subject), name});
    } catch (...) {
      take(made, {1, 0, current_exception_text()}, name);
    }
  };
  const std::vector<Composition> all = combinations(registry, component);
  if (all.empty()) take(made, {1, 0, "goes together with none of the representative components"}, component.id);
  for (const Composition& parts : all) {
    std::string name = fmt::format("{}/{}/{}", parts.attention.id, parts.position.id, parts.cache.id);
    if (component.kind == Kind::storage) name += "/" + component.id;
    const std::size_t before = candidates.size();
    add(name, [&] { return std::optional<Subject>(std::in_place, registry, parts); });
    if (component.kind != Kind::cache || candidates.size() == before) continue;
    add(name + ", evicting", [&]() -> std::optional<Subject> {
      const Subject& subject = candidates.back().subject;
      if (const auto small = evicting(subject)) return subject.with_cache(*small);
      return std::nullopt;
    });
  }
  send(line_of({{"making", ""}}));
  const Verdict ran = examine_apart(
      kMade, candidates,
      [](Candidate& candidate) {
        (void)candidate.subject.run(tokens(3, 1), tokens(1, 2));
        return Finding{};
      },
      seconds);
  if (ran.combinations > 0) take(made, ran.worst, ran.on);
  send(line_of(to_json(made)));
  for (const Law& law : laws())
    send(line_of(to_json(examine_apart(
        law.name, candidates, [&](Candidate& candidate) { return law.examine(candidate.subject, component.kind); },
        seconds))));
}

// The law of options needs no model.
Verdict examine_options(const Registry& registry, const Descriptor& component, double seconds) {
  LineProcess process([&](const LineProcess::Send& send) {
    Verdict verdict{.law = kBounded};
    if (const auto finding = options_are_bounded(registry, component)) take(verdict, *finding, component.id);
    send(line_of(to_json(verdict)));
  });
  if (const auto line = process.next(seconds)) return verdict_of(json::parse(*line));
  Verdict broken{.law = kBounded};
  take(broken, {1, 0, process.why()}, component.id);
  return broken;
}

}  // namespace

std::vector<Verdict> check(const Registry& registry, const Descriptor& component, double seconds) {
  Verdict made{.law = kMade};
  std::vector<Verdict> of_laws;
  std::vector<std::string> left_out;
  while (of_laws.size() < laws().size()) {
    std::string making;
    LineProcess process(
        [&](const LineProcess::Send& send) { examine_component(registry, component, left_out, seconds, send); });
    // Laws have limits of their own in there, and time to be ended.
    while (const auto line = process.next(seconds + 5)) {
      const json said = json::parse(*line);
      if (said.contains("making")) {
        making = said.at("making");
        continue;
      }
      const Verdict verdict = verdict_of(said);
      if (verdict.law != kMade)
        of_laws.push_back(verdict);
      else if (verdict.combinations > 0)
        take(made, verdict.worst, verdict.on);
    }
    if (of_laws.size() == laws().size()) break;
    // It ended while it made a combination, which is left out from now on; or there is nothing to leave out.
    take(made, {1, 0, process.why()}, making.empty() ? component.id : making);
    left_out.push_back(making);
    if (!making.empty()) continue;
    for (std::size_t law = of_laws.size(); law < laws().size(); ++law) {
      of_laws.push_back({.law = laws()[law].name});
      take(of_laws.back(), {1, 0, process.why()}, component.id);
    }
  }
  std::vector<Verdict> verdicts{made, examine_options(registry, component, seconds)};
  verdicts.insert(verdicts.end(), of_laws.begin(), of_laws.end());
  return verdicts;
}

}  // namespace attnlab::experiment::conformance
