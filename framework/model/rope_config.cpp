#include "model/rope_config.h"

#include <algorithm>

#include <fmt/format.h>

#include "model/strict_json.h"

namespace attnlab::model {
namespace {

// What the object with the scaling's keys does not say itself.
struct RopeSource {
  UnknownKeys unknown_keys;
  int rotary_dim;                             // per head; 0 if not known
  std::optional<int> original_max_positions;  // Phi-3 and its kin write it at the top level
  bool type_is_optional;                      // rope_parameters without a rope_type are the default
};

const std::vector<std::string> kTypes{"linear", "dynamic", "ntk", "llama3", "yarn", "longrope"};

// The keys of a type beside its name.
std::vector<std::string> keys_of(const std::string& type) {
  if (type == "default") return {};
  if (type == "llama3") return {"factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"};
  if (type == "yarn") {
    return {"factor",           "original_max_position_embeddings",
            "attention_factor", "beta_fast",
            "beta_slow",        "mscale",
            "mscale_all_dim",   "truncate"};
  }
  if (type == "longrope") {
    return {"factor", "original_max_position_embeddings", "attention_factor", "short_factor", "long_factor"};
  }
  return {"factor"};
}

// Nothing if the type is not known; the problem is noted.
std::optional<std::string> read_type(const ConfigFields& fields, const RopeSource& source) {
  const std::optional<std::string> modern = fields.text("rope_type");
  const std::optional<std::string> legacy = fields.text("type");
  if (modern && legacy && *modern != *legacy) {
    fields.problem("rope_type", fmt::format(": {} contradicts type: {}", in_quotes(*modern), in_quotes(*legacy)),
                   "keep one of the two");
    return std::nullopt;
  }
  if (!modern && !legacy) {
    if (fields.has("rope_type") || fields.has("type")) return std::nullopt;  // no text: noted already
    if (source.type_is_optional) return "default";
    fields.problem("rope_type", " is missing", fmt::format("supported are {}", fmt::join(kTypes, ", ")));
    return std::nullopt;
  }
  const std::string type = modern ? *modern : *legacy;
  if (type == "default" || std::ranges::find(kTypes, type) != kTypes.end()) return type;
  fields.problem(modern ? "rope_type" : "type", fmt::format(": {} is not supported", in_quotes(type)),
                 fmt::format("supported are {}", fmt::join(kTypes, ", ")));
  return std::nullopt;
}

std::optional<int> read_original_positions(const ConfigFields& fields, const RopeSource& source, bool required) {
  constexpr std::string_view kKey = "original_max_position_embeddings";
  if (fields.has(kKey)) return fields.count(kKey, 0);
  if (source.original_max_positions) return source.original_max_positions;
  if (required) return fields.required_count(kKey);
  return std::nullopt;
}

void read_llama3(const ConfigFields& fields, const RopeSource& source, RopeScaling& scaling) {
  scaling.low_freq_factor = fields.required_number("low_freq_factor", kPositive);
  scaling.high_freq_factor = fields.required_number("high_freq_factor", kPositive);
  scaling.original_max_positions = read_original_positions(fields, source, true);
  if (scaling.low_freq_factor && scaling.high_freq_factor && *scaling.low_freq_factor >= *scaling.high_freq_factor) {
    fields.problem(
        "low_freq_factor",
        fmt::format(": {} is not less than high_freq_factor {}", *scaling.low_freq_factor, *scaling.high_freq_factor),
        "give a low_freq_factor less than high_freq_factor");
  }
}

void read_yarn(const ConfigFields& fields, const RopeSource& source, RopeScaling& scaling) {
  scaling.original_max_positions = read_original_positions(fields, source, false);
  scaling.attention_factor = fields.optional_number("attention_factor", kPositive);
  scaling.beta_fast = fields.optional_number("beta_fast", kPositive);
  scaling.beta_slow = fields.optional_number("beta_slow", kPositive);
  scaling.mscale = fields.optional_number("mscale", kPositive);
  scaling.mscale_all_dim = fields.optional_number("mscale_all_dim", kPositive);
  if (scaling.beta_fast.value_or(32) < scaling.beta_slow.value_or(1)) {
    fields.problem(
        "beta_fast",
        fmt::format(": {} is less than beta_slow {}", scaling.beta_fast.value_or(32), scaling.beta_slow.value_or(1)),
        "give a beta_fast of at least beta_slow");
  }
  if (!fields.flag("truncate", true)) {
    fields.problem("truncate", ": false is not supported", "the bounds of the ramp are whole dimensions");
  }
}

void read_longrope(const ConfigFields& fields, const RopeSource& source, RopeScaling& scaling) {
  scaling.original_max_positions = read_original_positions(fields, source, true);
  scaling.attention_factor = fields.optional_number("attention_factor", kPositive);
  scaling.short_factor = fields.positive_list("short_factor");
  scaling.long_factor = fields.positive_list("long_factor");
  const auto check_length = [&](std::string_view key, const std::vector<double>& list) {
    if (list.empty() || source.rotary_dim == 0) return;
    const auto wanted = static_cast<std::size_t>(source.rotary_dim / 2);
    if (list.size() == wanted) return;
    fields.problem(key, fmt::format(" has {} numbers", list.size()),
                   fmt::format("give {}, half of the {} rotary dimensions of a head", wanted, source.rotary_dim));
  };
  check_length("short_factor", scaling.short_factor);
  check_length("long_factor", scaling.long_factor);
}

// Nothing for type `default`, and where the type is unknown.
std::optional<RopeScaling> read_rope_scaling(const ConfigFields& fields, const RopeSource& source) {
  const std::optional<std::string> type = read_type(fields, source);
  if (!type) return std::nullopt;
  if (source.unknown_keys == UnknownKeys::refused) {
    std::vector<std::string> allowed = keys_of(*type);
    allowed.insert(allowed.end(), {"rope_type", "type"});
    fields.refuse_unknown(allowed, fmt::format("the rope_scaling type {}", *type));
  }
  if (*type == "default") return std::nullopt;

  RopeScaling scaling;
  scaling.type = *type;
  scaling.factor = *type == "longrope" ? fields.optional_number("factor", kAtLeastOne)
                                       : fields.required_number("factor", kAtLeastOne);
  if (*type == "llama3") read_llama3(fields, source, scaling);
  if (*type == "yarn") read_yarn(fields, source, scaling);
  if (*type == "longrope") read_longrope(fields, source, scaling);
  if ((*type == "dynamic" || *type == "ntk") && source.rotary_dim == 2) {
    fields.problem("rope_type", fmt::format(": {} needs more than 2 rotary dimensions", in_quotes(*type)),
                   "its exponent is d / (d - 2)");
  }
  return scaling;
}

// The keys of a nested map, each at the place of the map.
std::vector<ConfigEntry> nested_entries(const ConfigFields& fields, std::string_view key) {
  std::vector<ConfigEntry> entries;
  if (!fields.has(key)) return entries;
  const ConfigEntry& map = *fields.entry(key);
  if (!map.value.is_object()) {
    fields.problem(key, fmt::format(": {} is no map", shown(map.value)), "give a map with rope_type");
    return entries;
  }
  for (const auto& [name, value] : map.value.items()) entries.push_back({name, value, map.where});
  return entries;
}

// A number that old configs hold at the top and new ones in rope_parameters; twice is fine if both say the same.
double number_of_two(const ConfigFields& fields, const ConfigFields& parameters, std::string_view key, double absent,
                     const NumberRule& rule) {
  const std::optional<double> top = fields.optional_number(key, rule);
  const std::optional<double> nested = parameters.optional_number(key, rule);
  if (top && nested && *top != *nested) {
    fields.problem(key, fmt::format(": {} contradicts {} in rope_parameters", *top, *nested), "keep one of the two");
  }
  return top.value_or(nested.value_or(absent));
}

void check_rotary_dim(const ConfigFields& fields, const ModelConfig& config) {
  if (config.head_dim == 0 || (config.rotary_dim() >= 2 && config.rotary_dim() % 2 == 0)) return;
  const bool partial = config.partial_rotary_factor != 1;
  fields.problem(partial ? "partial_rotary_factor" : "head_dim",
                 fmt::format(": {} of {} dimensions of a head would be rotated", config.rotary_dim(), config.head_dim),
                 "the number must be even and at least 2");
}

}  // namespace

void read_rope(const ConfigFields& fields, UnknownKeys unknown_keys, ModelConfig& config) {
  std::vector<Problem>& problems = fields.problems();
  const std::vector<ConfigEntry> parameter_entries = nested_entries(fields, "rope_parameters");
  const std::vector<ConfigEntry> scaling_entries = nested_entries(fields, "rope_scaling");
  const ConfigFields parameters(parameter_entries, "rope_parameters.", fields.where("rope_parameters"), problems);
  const ConfigFields scaling(scaling_entries, "rope_scaling.", fields.where("rope_scaling"), problems);

  for (const ConfigEntry& entry : parameter_entries) {  // one set for every kind of layer, as Gemma has it
    if (!entry.value.is_object()) continue;
    fields.problem("rope_parameters", fmt::format(".{}: a map of its own is not supported", entry.key),
                   "give one set of rotary parameters for all layers");
    return;
  }
  config.rope_theta = number_of_two(fields, parameters, "rope_theta", 10000, kPositive);
  config.rope_traditional = fields.flag("rope_traditional", false);
  config.partial_rotary_factor = number_of_two(fields, parameters, "partial_rotary_factor", 1, kShare);
  check_rotary_dim(fields, config);

  RopeSource source{.unknown_keys = unknown_keys,
                    .rotary_dim = config.rotary_dim(),
                    .original_max_positions = {},
                    .type_is_optional = false};
  if (unknown_keys == UnknownKeys::ignored && fields.has("original_max_position_embeddings")) {
    source.original_max_positions = fields.count("original_max_position_embeddings", 0);
  }
  const auto is_map = [&](std::string_view key) { return fields.has(key) && fields.entry(key)->value.is_object(); };
  if (is_map("rope_scaling")) {
    config.rope_scaling = read_rope_scaling(scaling, source);
  } else if (is_map("rope_parameters")) {
    source.type_is_optional = true;
    config.rope_scaling = read_rope_scaling(parameters, source);
  }
}

}  // namespace attnlab::model
