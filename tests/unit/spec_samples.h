// Some components that no plugin implements, for tests that read experiments.
#pragma once

#include <algorithm>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include <attnlab/error.h>

#include "choices/component_choice.h"

namespace attnlab::experiment {

inline OptionSpec integer_option(std::string name, double min) {
  OptionSpec spec;
  spec.name = std::move(name);
  spec.type = OptionType::integer;
  spec.min = min;
  return spec;
}

inline std::vector<Descriptor> sample_components() {
  OptionSpec theta;
  theta.name = "theta";
  theta.type = OptionType::real;
  theta.min = 0;
  OptionSpec factors;
  factors.name = "factors";
  factors.type = OptionType::reals;
  OptionSpec positions;
  positions.name = "positions";
  positions.type = OptionType::choice;
  positions.choices = {"renumbered", "original"};
  OptionSpec bits;
  bits.name = "bits";
  bits.type = OptionType::choice;
  bits.choices = {"2", "4"};
  bits.default_value = "2";
  const auto bounded = [](std::string name, double min, double max, std::int64_t usual) {
    OptionSpec spec = integer_option(std::move(name), min);
    spec.max = max;
    spec.default_value = usual;
    return spec;
  };
  OptionSpec steps;
  steps.name = "steps";
  steps.type = OptionType::reals;
  const auto component = [](Kind kind, const char* id, OptionSchema options) {
    Descriptor descriptor;
    descriptor.kind = kind;
    descriptor.id = id;
    descriptor.options = std::move(options);
    return descriptor;
  };
  return {
      component(Kind::attention, "mha", {}),
      component(Kind::attention, "gqa", {integer_option("kv_heads", 1)}),
      component(Kind::attention, "mqa", {}),
      component(Kind::position, "rope", {theta, factors}),
      component(Kind::position, "none", {}),
      component(Kind::cache, "full", {}),
      component(Kind::cache, "window", {integer_option("window", 1)}),
      component(Kind::cache, "sink", {integer_option("sinks", 0), integer_option("window", 1), positions}),
      component(Kind::cache, "h2o",
                {integer_option("heavy", 0), integer_option("recent", 1), integer_option("protect.first", 0)}),
      component(Kind::storage, "f32", {}),
      component(Kind::storage, "bf16", {}),
      component(Kind::storage, "int8", {}),
      component(Kind::storage, "int4", {}),
      component(Kind::storage, "stepped", {steps}),
      component(Kind::storage, "kivi", {bits, bounded("group", 1, 65536, 32), bounded("residual", 0, 1 << 30, 128)})};
}

/// Answers as the registry does. A rule across options: sink needs sinks < window.
inline ComponentLookup sample_lookup() {
  static const std::vector<Descriptor> components = sample_components();
  ComponentLookup lookup;
  lookup.get = [](Kind kind, std::string_view id, const std::string& where) -> const Descriptor& {
    std::vector<std::string> ids;
    for (const Descriptor& component : components) {
      if (component.kind != kind) continue;
      if (component.id == id) return component;
      ids.push_back(component.id);
    }
    throw Error(where, "unknown component \"" + std::string(id) + "\"",
                config::name_remedy(std::string(id), ids, "components"));
  };
  lookup.check = [](const Descriptor& component, const OptionValues& values, Problems& problems) {
    if (component.id != "sink" || !values.contains("sinks") || !values.contains("window")) return;
    if (std::get<std::int64_t>(values.at("sinks")) >= std::get<std::int64_t>(values.at("window")))
      problems.add("sinks", "must be smaller than window");
  };
  return lookup;
}

template <class Function>
std::string error_of(const Function& function) {
  try {
    function();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace attnlab::experiment
