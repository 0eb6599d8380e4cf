// What a model's own configuration gives to the options of components: `from_model` of an option names one of these.
#pragma once

#include <attnlab/options.h>

#include "model/config/model_config.h"
#include "registry/registry.h"

namespace attnlab::experiment {

/// What the host reads of a model, by key, for one layer (a window may begin at a layer; without a window the value is
/// empty; some layers rotate otherwise, or not at all). Keys: num_key_value_heads, sliding_window, qk_norm,
/// qk_norm_kind, qkv_bias, o_bias, attention_scale (empty: 1 / sqrt(head_dim)), attention_softcap, sink_logit,
/// rope_theta, rope_traditional, partial_rotary_factor, rope_scaling.<its keys>; of latent attention the widths that
/// the config gives, and latent_scale, latent_bias and latent_norm_eps, which are empty in models without it. Any other
/// key of a config is in ModelConfig::keys.
[[nodiscard]] ATTNLAB_API OptionValues model_defaults(const model::ModelConfig& config, int layer);

/// The given values, completed by the model's: by `defaults`, and by the config's own keys for names that are not among
/// them. An option of a group comes from the model only where none of the group was given. Error where the model's
/// value is none that the option takes.
[[nodiscard]] ATTNLAB_API OptionValues complete_options(const Descriptor& component, const OptionValues& given,
                                                        const OptionValues& defaults, const OptionValues& keys,
                                                        const std::string& where);

/// The attention that a checkpoint has by itself: mla, or mha, gqa or mqa by its head counts.
[[nodiscard]] std::string own_attention(const model::ModelConfig& config);

}  // namespace attnlab::experiment
