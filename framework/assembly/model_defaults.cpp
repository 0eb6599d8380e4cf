#include "assembly/model_defaults.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include <attnlab/error.h>

#include "choices/plain_components.h"
#include "config/option_reader.h"
#include "config/scalars.h"
namespace attnlab::experiment {
namespace {

constexpr double kLatentNormEps = 1e-6;  // of DeepSeek's inner norms, whatever the config says of the others

}  // namespace

OptionValues model_defaults(const model::ModelConfig& config, int layer) {
  OptionValues values;
  values["num_key_value_heads"] = std::int64_t{config.kv_heads};
  values["sliding_window"] =
      config.has_window(layer) ? OptionValue(std::int64_t{*config.sliding_window}) : OptionValue();
  values["qk_norm"] = config.qk_norm != model::QkNorm::none;
  values["qk_norm_kind"] = std::string(config.qk_norm == model::QkNorm::whole ? "whole"
                                       : config.qk_norm == model::QkNorm::own ? "own"
                                                                              : "heads");
  const double scale = config.scale_of(layer);
  const bool is_latent = config.has_latent_attention;
  const auto where = [](bool is_there, auto value) { return is_there ? OptionValue(value) : OptionValue(); };
  values["attention_scale"] = where(scale > 0 && !is_latent, scale);
  values["latent_scale"] = where(scale > 0 && is_latent, scale);
  values["latent_bias"] = where(is_latent, config.o_bias);
  values["latent_norm_eps"] = where(is_latent, kLatentNormEps);
  values["attention_softcap"] = config.attention_softcap;
  values["sink_logit"] = config.sink_logit;
  values["qkv_bias"] = config.qkv_bias;
  values["o_bias"] = config.o_bias;
  const bool has_own_base = config.window_rope_theta.has_value() && config.has_window(layer);
  const bool is_unrotated =
      !config.unrotated_layers.empty() && config.unrotated_layers[static_cast<std::size_t>(layer)];
  values["rope_theta"] = has_own_base ? *config.window_rope_theta : config.rope_theta;
  values["rope_traditional"] = config.rope_traditional;
  values["partial_rotary_factor"] = is_unrotated ? 0.0 : config.partial_rotary_factor;
  for (const auto& [key, width] : config.latent_dims) values[key] = std::int64_t{width};
  if (!config.rope_scaling || has_own_base || is_unrotated) return values;
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

namespace {

// A value of a config as an option holds it; `refuse` is called with what the option is where it cannot hold it.
template <class Refuse>
OptionValue taken(const OptionSpec& option, const OptionValue& value, const Refuse& refuse) {
  const auto* whole = std::get_if<std::int64_t>(&value);
  const auto* real = std::get_if<double>(&value);
  const auto in_bounds = [&](double number) {
    if (const std::string fault = config::bounds_fault(number, option.min, option.max); !fault.empty()) refuse(fault);
  };
  switch (option.type) {
    case OptionType::boolean:
      if (!std::holds_alternative<bool>(value)) refuse("is true or false");
      return value;
    case OptionType::integer:
      if (whole == nullptr) refuse("is an integer");
      in_bounds(static_cast<double>(*whole));
      return value;
    case OptionType::real:
      if (whole == nullptr && real == nullptr) refuse("is a number");
      in_bounds(real != nullptr ? *real : static_cast<double>(*whole));
      return real != nullptr ? *real : static_cast<double>(*whole);
    case OptionType::text:
    case OptionType::choice:
      if (!std::holds_alternative<std::string>(value)) refuse("is a text");
      return value;
    case OptionType::reals:
      if (!std::holds_alternative<std::vector<double>>(value)) refuse("is a list of numbers");
      for (const double each : std::get<std::vector<double>>(value)) in_bounds(each);
      return value;
    case OptionType::integers: {
      const auto* numbers = std::get_if<std::vector<double>>(&value);
      if (numbers == nullptr) refuse("is a list of integers");
      std::vector<std::int64_t> integers;
      for (const double each : *numbers) {
        if (each != std::floor(each)) refuse("is a list of integers");
        in_bounds(each);
        integers.push_back(static_cast<std::int64_t>(each));
      }
      return integers;
    }
    case OptionType::budget:
      if (whole == nullptr || *whole < 0) refuse("is a count of tokens");
      return std::to_string(*whole);
  }
  return value;
}

}  // namespace

OptionValues complete_options(const Descriptor& component, const OptionValues& given, const OptionValues& defaults,
                              const OptionValues& keys, const std::string& where) {
  OptionValues values = given;
  for (const OptionSpec& option : component.options) {
    if (option.from_model.empty() || given.contains(option.name)) continue;
    const auto of_host = defaults.find(option.from_model);
    const OptionValues& from = of_host != defaults.end() ? defaults : keys;
    const auto found = from.find(option.from_model);
    if (found == from.end() || found->second.index() == 0) continue;
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
    values[option.name] = taken(option, found->second, [&](const std::string& fault) {
      throw Error(
          where,
          fmt::format("the model's {} is {}, but {} of {} \"{}\" {}", option.from_model,
                      config::option_text(found->second), option.name, kind_name(component.kind), component.id, fault),
          fmt::format("write {} in the experiment", option.name));
    });
  }
  return values;
}

std::string own_attention(const model::ModelConfig& config) {
  if (config.has_latent_attention) return kLatentAttention;
  if (config.kv_heads == config.heads) return kPlainAttention;
  return config.kv_heads == 1 ? kSingleKvHeadAttention : kGroupedAttention;
}

}  // namespace attnlab::experiment
