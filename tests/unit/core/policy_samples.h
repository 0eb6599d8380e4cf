// Scoring policies with their options, and the definition of each (reference/policy_simulation.h).
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include <attnlab/options.h>

#include "reference/policy_simulation.h"

namespace attnlab {

using namespace reference;

inline constexpr int kTokens = 150;

struct Policy {
  std::string name;  // of the test
  std::string cache;
  OptionValues options;
  PolicySimulation::Evict evict;
  PolicySimulation::Choose choose = {};
};

inline OptionValues with(OptionValues options, Protected protect) {
  options["protect.first"] = std::int64_t{protect.first};
  options["protect.recent"] = std::int64_t{protect.recent};
  return options;
}
inline OptionValues budget_of(int rows) {
  return {{"budget", std::to_string(rows)}};
}
inline OptionValues window_of(int budget, const Observation& by) {
  return {{"budget", std::to_string(budget)},
          {"window", std::int64_t{by.window}},
          {"kernel", std::int64_t{by.kernel}},
          {"pooling", std::string(by.takes_maximum ? "maximum" : "average")}};
}

inline Policy h2o_policy(const char* name, int heavy, int recent, Protected protect = {}) {
  return {name, "h2o", with({{"heavy", std::to_string(heavy)}, {"recent", std::to_string(recent)}}, protect),
          h2o(heavy, recent, protect)};
}
inline Policy tova_policy(const char* name, int budget, Protected protect = {}) {
  return {name, "tova", with(budget_of(budget), protect), tova(budget, protect)};
}
inline Policy snapkv_policy(const char* name, int budget, const Observation& by, Protected protect = {}) {
  return {name, "snapkv", with(window_of(budget, by), protect), snapkv(budget, by, protect)};
}
inline Policy adakv_policy(const char* name, int budget, const Observation& by, double safeguard,
                           Protected protect = {}) {
  OptionValues options = with(window_of(budget, by), protect);
  options["safeguard"] = safeguard;
  return {name, "adakv", options, adakv(budget, by, safeguard, protect)};
}
inline Policy knorm_policy(const char* name, int budget, Protected protect = {}) {
  return {name, "knorm", with(budget_of(budget), protect), knorm(budget, protect)};
}
inline Policy keydiff_policy(const char* name, int budget, Protected protect = {}) {
  return {name, "keydiff", with(budget_of(budget), protect), keydiff(budget, protect)};
}
inline Policy expected_policy(const char* name, int budget, int future, int sinks, Protected protect = {}) {
  OptionValues options = with(budget_of(budget), protect);
  options["future"] = std::int64_t{future};
  options["sinks"] = std::int64_t{sinks};
  return {name, "expected_attention", options, expected_attention(budget, future, sinks, protect)};
}
inline Policy quest_policy(const char* name, int page, int budget) {
  OptionValues options = budget_of(budget);
  options["page"] = std::int64_t{page};
  options["dense_layers"] = std::int64_t{0};
  return {name, "quest", options, {}, quest(page, budget)};
}

// The evictions of two policies, each in its phase; none: nothing is dropped in it.
inline PolicySimulation::Evict in_phases(PolicySimulation::Evict after_prompt, PolicySimulation::Evict after_step) {
  return [=](PolicySimulation& simulation, const Operation& operation) {
    const PolicySimulation::Evict& evict = operation.is_prompt ? after_prompt : after_step;
    if (evict) evict(simulation, operation);
  };
}
inline Policy in_phases(const char* name, Policy policy, OptionValues more, PolicySimulation::Evict after_prompt,
                        PolicySimulation::Evict after_step) {
  policy.name = name;
  policy.options.merge(more);
  policy.evict = in_phases(std::move(after_prompt), std::move(after_step));
  return policy;
}
inline OptionValues acts(const char* phase) {
  return {{"acts", std::string(phase)}};
}

inline std::vector<Policy> phased_policies() {
  const OptionValues prefill = acts("prefill"), decode = acts("decode"), fewer{{"decode_budget", std::string("12")}};
  const OptionValues h2o_steps{{"decode_heavy", std::string("3")}, {"decode_recent", std::string("9")}};
  OptionValues more{{"decode_budget", std::string("40")}}, protects{{"decode_budget", std::string("15")}};
  return {
      in_phases("h2o_in_prefill", h2o_policy("", 8, 12), prefill, h2o(8, 12, {}), {}),
      in_phases("h2o_in_decode", h2o_policy("", 8, 12), decode, {}, h2o(8, 12, {})),
      in_phases("h2o_of_two_budgets", h2o_policy("", 20, 12, {2, 0}), h2o_steps, h2o(20, 12, {2, 0}),
                h2o(3, 9, {2, 0})),
      in_phases("tova_in_prefill", tova_policy("", 20), prefill, tova(20, {}), {}),
      in_phases("tova_in_decode", tova_policy("", 20), decode, {}, tova(20, {})),
      in_phases("tova_of_two_budgets", tova_policy("", 20), fewer, tova(20, {}), tova(12, {})),
      in_phases("knorm_in_prefill", knorm_policy("", 20), prefill, knorm(20, {}), {}),
      in_phases("knorm_in_decode", knorm_policy("", 20), decode, {}, knorm(20, {})),
      in_phases("knorm_of_two_budgets", knorm_policy("", 20, {5, 5}), protects, knorm(20, {5, 5}), knorm(15, {5, 5})),
      in_phases("keydiff_in_decode", keydiff_policy("", 24), decode, {}, keydiff(24, {})),
      in_phases("keydiff_that_grows", keydiff_policy("", 24), more, keydiff(24, {}), keydiff(40, {})),
  };
}

inline std::vector<Policy> published_policies() {
  return {
      h2o_policy("h2o", 8, 12),
      h2o_policy("h2o_of_one_recent", 20, 1),
      h2o_policy("h2o_protected", 12, 8, {4, 11}),
      h2o_policy("h2o_protected_whole", 6, 8, {6, 3}),
      h2o_policy("h2o_wide", 100, 100, {3, 3}),
      tova_policy("tova", 20),
      tova_policy("tova_of_one", 1),
      tova_policy("tova_protected", 20, {4, 6}),
      tova_policy("tova_wide", kTokens),
      snapkv_policy("snapkv", 24, {6, 5}),
      snapkv_policy("snapkv_window_of_one", 20, {1, 1}),
      snapkv_policy("snapkv_wide_kernel", 30, {8, 63}),
      snapkv_policy("snapkv_protected", 24, {6, 5}, {4, 9}),
      snapkv_policy("snapkv_of_the_prompt", 100, {8, 7}),
      snapkv_policy("snapkv_maximum", 24, {6, 5, true}),
      snapkv_policy("snapkv_maximum_wide_kernel", 40, {8, 63, true}),
      snapkv_policy("snapkv_maximum_protected", 30, {4, 7, true}, {4, 9}),
      adakv_policy("adakv", 24, {6, 5}, 0.2),
      adakv_policy("adakv_without_safeguard", 20, {4, 3}, 0),
      adakv_policy("adakv_uniform", 20, {4, 3}, 1),
      adakv_policy("adakv_protected", 24, {6, 5}, 0.1, {8, 9}),
      adakv_policy("adakv_window_of_one", 11, {1, 1}, 0.7),
      adakv_policy("adakv_maximum", 24, {6, 5, true}, 0.2),
      knorm_policy("knorm", 20),
      knorm_policy("knorm_of_one", 1),
      knorm_policy("knorm_protected", 20, {5, 5}),
      keydiff_policy("keydiff", 24),
      keydiff_policy("keydiff_protected", 80, {4, 12}),
      expected_policy("expected", 24, 16, 4),
      expected_policy("expected_far", 70, 300, 0),
      expected_policy("expected_protected", 24, 1, 4, {7, 5}),
      quest_policy("quest", 8, 32),
      quest_policy("quest_of_single_rows", 1, 20),
      quest_policy("quest_below_a_page", 32, 5),
      quest_policy("quest_of_pages_across_tiles", 24, 48),
      quest_policy("quest_of_odd_pages", 7, 20),
      quest_policy("quest_of_pages_that_end_in_a_tile", 96, 100),
      quest_policy("quest_of_tiles", 64, 130),
      quest_policy("quest_of_two_tiles", 128, 10),
      quest_policy("quest_wide", 16, kTokens),
      {"random", "random", with(budget_of(20), {3, 4}), {}},
  };
}

inline std::vector<Policy> every_policy() {
  std::vector<Policy> all = published_policies();
  std::ranges::move(phased_policies(), std::back_inserter(all));
  return all;
}

}  // namespace attnlab
