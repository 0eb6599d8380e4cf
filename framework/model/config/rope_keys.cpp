#include "model/config/rope_keys.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

namespace attnlab::model {
namespace {

using Keys = std::vector<std::string>;

constexpr std::string_view kOriginal = "original_max_position_embeddings";
constexpr std::string_view kSaysNothing = "finetuned";  // of the weights, in early YaRN checkpoints
const Keys kOfEveryType{"rope_type", "type", "rope_theta", "partial_rotary_factor"};

// The keys of a type beside those of every type.
const std::map<std::string, Keys>& keys_by_type() {
  static const std::map<std::string, Keys> kKeys{
      {"default", {}},
      {"linear", {"factor"}},
      {"dynamic", {"factor"}},
      {"ntk", {"factor"}},
      {"llama3", {"factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"}},
      {"yarn",
       {"factor", "original_max_position_embeddings", "attention_factor", "beta_fast", "beta_slow", "mscale",
        "mscale_all_dim", "truncate"}},
      {"longrope", {"factor", "original_max_position_embeddings", "attention_factor", "short_factor", "long_factor"}}};
  return kKeys;
}

bool contains(const Keys& keys, const std::string& key) {
  return std::ranges::find(keys, key) != keys.end();
}

// The types that have the key, in the order of their names.
Keys owners(const std::string& key) {
  Keys types;
  for (const auto& [type, keys] : keys_by_type())
    if (contains(keys, key)) types.push_back(type);
  return types;
}

Keys all_keys() {
  Keys all = kOfEveryType;
  for (const auto& [type, keys] : keys_by_type()) all.insert(all.end(), keys.begin(), keys.end());
  return all;
}

// Null is absent, and `type` is the old name of `rope_type`.
std::map<std::string, nlohmann::json> normal_form(const ConfigFields& fields) {
  std::map<std::string, nlohmann::json> values;
  for (const ConfigEntry& entry : fields.entries())
    if (!entry.value.is_null()) values.emplace(entry.key == "type" ? "rope_type" : entry.key, entry.value);
  values.emplace("rope_type", "default");  // where none is written
  values.erase("rope_theta");
  values.erase("partial_rotary_factor");
  return values;
}

}  // namespace

const std::vector<std::string>& rope_types() {
  static const Keys kTypes{"linear", "dynamic", "ntk", "llama3", "yarn", "longrope"};
  return kTypes;
}

bool holds_scaling_keys(const ConfigFields& fields) {
  return std::ranges::any_of(
      fields.entries(), [](const ConfigEntry& entry) { return !entry.value.is_null() && !owners(entry.key).empty(); });
}

void check_rope_keys(const ConfigFields& fields, const std::string& type, UnknownKeys unknown_keys, int max_positions) {
  Keys allowed = keys_by_type().at(type);
  allowed.insert(allowed.end(), kOfEveryType.begin(), kOfEveryType.end());
  if (unknown_keys == UnknownKeys::refused) {
    fields.refuse_unknown(allowed, fmt::format("the rope_scaling type {}", type));
    return;
  }
  for (const ConfigEntry& entry : fields.entries()) {
    if (entry.value.is_null() || contains(allowed, entry.key)) continue;
    if (const Keys types = owners(entry.key); !types.empty()) {
      if (entry.key == kOriginal && entry.value.is_number() && entry.value.get<double>() == max_positions) continue;
      fields.problem(entry.key, fmt::format(": {} has no such key", type),
                     fmt::format("remove it, or name a type that has it ({})", fmt::join(types, ", ")));
    } else if (entry.key != kSaysNothing) {
      const std::string nearest = nearest_name(entry.key, all_keys());
      fields.problem(entry.key, fmt::format(": unknown key of the type {}", type),
                     nearest.empty() ? "it may change the rotation; remove it if the model was trained without it"
                                     : fmt::format("did you mean {}?", nearest));
    }
  }
}

void check_same_scaling(const ConfigFields& scaling, const ConfigFields& parameters) {
  if (scaling.entries().empty() || parameters.entries().empty()) return;
  const auto in_scaling = normal_form(scaling);
  const auto in_parameters = normal_form(parameters);
  if (in_scaling == in_parameters) return;
  Keys differing;
  for (const auto* map : {&in_scaling, &in_parameters})
    for (const auto& [key, value] : *map) {
      const auto a = in_scaling.find(key);
      const auto b = in_parameters.find(key);
      const bool differs = a == in_scaling.end() || b == in_parameters.end() || a->second != b->second;
      if (differs && !contains(differing, key)) differing.push_back(key);
    }
  scaling.problems().push_back(
      {scaling.where(differing.front()),
       fmt::format("rope_scaling and rope_parameters differ in {}", fmt::join(differing, ", ")),
       "keep one of the two, or let them say the same"});
}

}  // namespace attnlab::model
