#include "model/config/rope_config.h"

#include <algorithm>

#include <fmt/format.h>

#include "model/checkpoints/strict_json.h"
#include "model/config/architecture.h"
#include "model/config/rope_keys.h"

namespace attnlab::model {
namespace {

// What the object with the scaling's keys does not say itself.
struct RopeSource {
  const ArchitectureSpec& architecture;
  UnknownKeys unknown_keys;
  int rotary_dim;                             // per head; 0 if not known
  int max_positions;                          // 0 if not known
  std::optional<int> original_max_positions;  // Phi-3 and its kin write it at the top level
};

// Nothing if the type is not known; the problem is noted.
std::optional<std::string> read_type(const ConfigFields& fields, const ArchitectureSpec& architecture) {
  const std::optional<std::string> modern = fields.text("rope_type");
  const std::optional<std::string> legacy = fields.text("type");
  if (modern && legacy && *modern != *legacy) {
    fields.problem("rope_type", fmt::format(": {} contradicts type: {}", in_quotes(*modern), in_quotes(*legacy)),
                   "keep one of the two");
    return std::nullopt;
  }
  if (!modern && !legacy) {
    if (fields.has("rope_type") || fields.has("type")) return std::nullopt;  // no text: noted already
    if (!holds_scaling_keys(fields)) return "default";                       // a map that gives rope_theta only
    fields.problem("rope_type", " is missing", fmt::format("supported are {}", fmt::join(rope_types(), ", ")));
    return std::nullopt;
  }
  std::string type = modern ? *modern : *legacy;
  for (const auto& [own, usual] : architecture.rope_spellings)
    if (type == own) type = usual;
  if (type == "default" || std::ranges::find(rope_types(), type) != rope_types().end()) return type;
  fields.problem(modern ? "rope_type" : "type", fmt::format(": {} is not supported", in_quotes(type)),
                 fmt::format("supported are {}", fmt::join(rope_types(), ", ")));
  return std::nullopt;
}

std::optional<int> read_original_positions(const ConfigFields& fields, const RopeSource& source, bool required) {
  constexpr std::string_view kKey = "original_max_position_embeddings";
  if (fields.has(kKey)) {
    const int inner = fields.count(kKey, 0);
    if (inner > 0 && source.original_max_positions.value_or(inner) != inner)
      fields.problem(kKey, fmt::format(": {} contradicts {} at the top level", inner, *source.original_max_positions),
                     "keep one of the two");
    return inner;
  }
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
  // 0 is how configs of DeepSeek's kind say that there is none.
  const auto not_zero = [&](std::string_view key) -> std::optional<double> {
    const std::optional<double> value = fields.optional_number(key, kNotNegative);
    return value && *value > 0 ? value : std::nullopt;
  };
  scaling.mscale = not_zero("mscale");
  scaling.mscale_all_dim = not_zero("mscale_all_dim");
  scaling.truncate = fields.flag("truncate", true);
  if (scaling.beta_fast.value_or(32) < scaling.beta_slow.value_or(1)) {
    fields.problem(
        "beta_fast",
        fmt::format(": {} is less than beta_slow {}", scaling.beta_fast.value_or(32), scaling.beta_slow.value_or(1)),
        "give a beta_fast of at least beta_slow");
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

// A factor of yarn that is written as null is how far the model was stretched, as in transformers.
std::optional<double> read_factor(const ConfigFields& fields, const RopeSource& source, const RopeScaling& scaling) {
  if (scaling.type == "longrope") return fields.optional_number("factor", kAtLeastOne);
  const bool is_null = fields.entry("factor") != nullptr && !fields.has("factor");
  const int original = scaling.original_max_positions.value_or(0);
  if (scaling.type != "yarn" || !is_null || original == 0 || source.unknown_keys == UnknownKeys::refused)
    return fields.required_number("factor", kAtLeastOne);
  if (source.max_positions >= original) return static_cast<double>(source.max_positions) / original;
  fields.problem("factor",
                 fmt::format(" is null, and max_position_embeddings {} is less than the original {}",
                             source.max_positions, original),
                 fmt::format("give {}", kAtLeastOne.wanted));
  return std::nullopt;
}

// Nothing for type `default`, and where the type is unknown.
std::optional<RopeScaling> read_rope_scaling(const ConfigFields& fields, const RopeSource& source) {
  const std::optional<std::string> type = read_type(fields, source.architecture);
  if (!type) return std::nullopt;
  check_rope_keys(fields, *type, source.unknown_keys, source.max_positions);
  if (*type == "default") return std::nullopt;

  RopeScaling scaling;
  scaling.type = *type;
  if (*type == "llama3") read_llama3(fields, source, scaling);
  if (*type == "yarn") read_yarn(fields, source, scaling);
  if (*type == "longrope") read_longrope(fields, source, scaling);
  scaling.factor = read_factor(fields, source, scaling);
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

// A number that old configs hold at the top and new ones in rope_parameters or rope_scaling; twice is fine if both say
// the same.
double number_of(std::string_view key, const ConfigFields& fields, std::span<const ConfigFields* const> nested,
                 double absent, const NumberRule& rule) {
  std::optional<double> found = fields.optional_number(key, rule);
  for (const ConfigFields* map : nested) {
    const std::optional<double> inner = map->optional_number(key, rule);
    if (found && inner && *found != *inner)
      map->problem(key, fmt::format(": {} contradicts {} at another place of the config", *inner, *found),
                   "keep one of the two");
    if (!found) found = inner;
  }
  return found.value_or(absent);
}

bool has_a_map(std::span<const ConfigEntry> entries) {
  return std::ranges::any_of(entries, [](const ConfigEntry& entry) { return entry.value.is_object(); });
}

std::vector<ConfigEntry> entries_of(const ConfigEntry& map) {
  std::vector<ConfigEntry> entries;
  for (const auto& [name, value] : map.value.items()) entries.push_back({name, value, map.where});
  return entries;
}

// Of one map for each type of layers: that of full layers, after the base of layers with a window was read.
// `window_share`: the share of a head that those layers rotate, where it is said.
std::vector<ConfigEntry> of_full_layers(const ConfigFields& fields, const std::vector<ConfigEntry>& types,
                                        ModelConfig& config, std::optional<double>& window_share) {
  std::vector<ConfigEntry> full;
  for (const ConfigEntry& type : types) {
    if (type.value.is_null()) continue;
    const bool is_window = type.key == "sliding_attention";
    if ((!is_window && type.key != "full_attention") || !type.value.is_object()) {
      fields.problem("rope_parameters", fmt::format(".{} is no map of a type of layers", type.key),
                     "give full_attention and sliding_attention");
      continue;
    }
    const std::vector<ConfigEntry> entries = entries_of(type);
    if (!is_window) {
      full = entries;
      continue;
    }
    const ConfigFields of_window(entries, "rope_parameters.sliding_attention.", type.where, fields.problems());
    if (const std::optional<std::string> scaled = read_type(of_window, *config.architecture)) {
      if (*scaled == "default")
        check_rope_keys(of_window, *scaled, UnknownKeys::ignored, config.max_positions);
      else
        of_window.problem(of_window.has("rope_type") ? "rope_type" : "type", ": layers with a window are not scaled",
                          "write default");
    }
    window_share = of_window.optional_number("partial_rotary_factor", kShare);
    const std::optional<double> theta = of_window.optional_number("rope_theta", kPositive);
    if (theta && fields.has("rope_local_base_freq") && *theta != config.window_rope_theta)
      of_window.problem("rope_theta", fmt::format(": {} contradicts rope_local_base_freq", *theta),
                        "keep one of the two");
    if (theta) config.window_rope_theta = theta;
  }
  return full;
}

}  // namespace

void read_rope(const ConfigFields& fields, UnknownKeys unknown_keys, ModelConfig& config) {
  std::vector<Problem>& problems = fields.problems();
  std::vector<ConfigEntry> parameter_entries = nested_entries(fields, "rope_parameters");
  std::string of_parameters = "rope_parameters.";
  std::optional<double> window_share;
  if (config.architecture->rope_by_layer_type && has_a_map(parameter_entries)) {
    parameter_entries = of_full_layers(fields, parameter_entries, config, window_share);
    of_parameters += "full_attention.";
  }
  const std::vector<ConfigEntry> scaling_entries = nested_entries(fields, "rope_scaling");
  const ConfigFields parameters(parameter_entries, of_parameters, fields.where("rope_parameters"), problems);
  const ConfigFields scaling(scaling_entries, "rope_scaling.", fields.where("rope_scaling"), problems);

  for (const ConfigEntry& entry : parameter_entries) {  // one set for every kind of layer, as Gemma 3 has it
    if (!entry.value.is_object()) continue;
    fields.problem("rope_parameters", fmt::format(".{}: a map of its own is not supported", entry.key),
                   "give one set of rotary parameters for all layers");
    return;
  }
  const ConfigFields* const nested[] = {&parameters, &scaling};
  config.rope_theta = number_of("rope_theta", fields, nested, config.rope_theta, kPositive);
  config.rope_traditional = fields.flag("rope_traditional", config.rope_traditional);
  config.partial_rotary_factor =
      number_of("partial_rotary_factor", fields, nested, config.partial_rotary_factor, kShare);
  if (window_share && *window_share != config.partial_rotary_factor)
    fields.problem("rope_parameters",
                   fmt::format(".sliding_attention.partial_rotary_factor: {} is not the {} of the other layers",
                               *window_share, config.partial_rotary_factor),
                   "all layers rotate the same share of a head");
  if (config.head_dim > 0 && config.rotary_dim() == 0)
    fields.problem("partial_rotary_factor", fmt::format(": 0 of {} dimensions of a head are rotated", config.head_dim),
                   "give a larger share");
  check_same_scaling(scaling, parameters);

  RopeSource source{.architecture = *config.architecture,
                    .unknown_keys = unknown_keys,
                    .rotary_dim = config.rotary_dim(),
                    .max_positions = config.max_positions,
                    .original_max_positions = {}};
  if (unknown_keys == UnknownKeys::ignored && fields.has("original_max_position_embeddings")) {
    source.original_max_positions = fields.count("original_max_position_embeddings", 0);
  }
  const auto is_map = [&](std::string_view key) {  // {} is none
    return fields.has(key) && fields.entry(key)->value.is_object() && !fields.entry(key)->value.empty();
  };
  if (is_map("rope_scaling")) {
    config.rope_scaling = read_rope_scaling(scaling, source);
  } else if (is_map("rope_parameters")) {
    config.rope_scaling = read_rope_scaling(parameters, source);
  }
}

}  // namespace attnlab::model
