#include "experiment/model_defaults.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include <attnlab/error.h>

namespace attnlab::experiment {

OptionValues model_defaults(const model::ModelConfig& config, int layer) {
  OptionValues values;
  values["num_key_value_heads"] = std::int64_t{config.kv_heads};
  if (config.has_window(layer)) values["sliding_window"] = std::int64_t{*config.sliding_window};
  values["qk_norm"] = config.qk_norm;
  values["qkv_bias"] = config.qkv_bias;
  values["o_bias"] = config.o_bias;
  values["rope_theta"] = config.rope_theta;
  values["rope_traditional"] = config.rope_traditional;
  values["partial_rotary_factor"] = config.partial_rotary_factor;
  for (const auto& [key, width] : config.latent_dims) values[key] = std::int64_t{width};
  if (!config.rope_scaling) return values;
  const model::RopeScaling& scaling = *config.rope_scaling;
  values["rope_scaling.rope_type"] = scaling.type;
  const auto real = [&](const char* key, const std::optional<double>& value) {
    if (value) values[std::string("rope_scaling.") + key] = *value;
  };
  real("factor", scaling.factor);
  real("low_freq_factor", scaling.low_freq_factor);
  real("high_freq_factor", scaling.high_freq_factor);
  real("attention_factor", scaling.attention_factor);
  real("beta_fast", scaling.beta_fast);
  real("beta_slow", scaling.beta_slow);
  real("mscale", scaling.mscale);
  real("mscale_all_dim", scaling.mscale_all_dim);
  if (scaling.type == "yarn") values["rope_scaling.truncate"] = scaling.truncate;
  if (scaling.original_max_positions)
    values["rope_scaling.original_max_position_embeddings"] = std::int64_t{*scaling.original_max_positions};
  if (!scaling.short_factor.empty()) values["rope_scaling.short_factor"] = scaling.short_factor;
  if (!scaling.long_factor.empty()) values["rope_scaling.long_factor"] = scaling.long_factor;
  return values;
}

OptionValues complete_options(const Descriptor& component, const OptionValues& given, const OptionValues& defaults,
                              const std::string& where) {
  OptionValues values = given;
  for (const OptionSpec& option : component.options) {
    if (option.from_model.empty() || given.contains(option.name)) continue;
    const auto found = defaults.find(option.from_model);
    if (found == defaults.end()) continue;
    const bool group_given =
        !option.group.empty() &&
        std::any_of(component.options.begin(), component.options.end(),
                    [&](const OptionSpec& other) { return other.group == option.group && given.contains(other.name); });
    if (group_given) continue;
    if (const auto* choice = std::get_if<std::string>(&found->second);
        choice != nullptr && option.type == OptionType::choice &&
        std::find(option.choices.begin(), option.choices.end(), *choice) == option.choices.end())
      throw Error(where,
                  fmt::format("the model asks for {} \"{}\" of {} \"{}\", which is not there", option.name, *choice,
                              kind_name(component.kind), component.id),
                  fmt::format("known: {}", fmt::join(option.choices, ", ")));
    values[option.name] = found->second;
  }
  return values;
}

std::string own_attention(const model::ModelConfig& config) {
  if (config.kv_heads == config.heads) return "mha";
  return config.kv_heads == 1 ? "mqa" : "gqa";
}

}  // namespace attnlab::experiment
