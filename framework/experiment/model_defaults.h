// What a model's own configuration gives to the options of components: `from_model` of an option names one of these.
#pragma once

#include <attnlab/options.h>

#include "model/model_config.h"
#include "registry/registry.h"

namespace attnlab::experiment {

/// Values by key, for one layer (a window may begin at a layer). Keys: num_key_value_heads, sliding_window, qk_norm,
/// qkv_bias, o_bias, rope_theta, rope_traditional, partial_rotary_factor, rope_scaling.<its keys>, and kv_lora_rank,
/// q_lora_rank, qk_nope_head_dim, qk_rope_head_dim, v_head_dim where the model has them.
[[nodiscard]] ATTNLAB_API OptionValues model_defaults(const model::ModelConfig& config, int layer);

/// The given values, completed by the model's. An option of a group comes from the model only where none of the group
/// was given. Error where the model asks for a choice that the component does not have.
[[nodiscard]] OptionValues complete_options(const Descriptor& component, const OptionValues& given,
                                            const OptionValues& defaults, const std::string& where);

/// The attention that a checkpoint has by itself: mha, gqa or mqa, by its head counts.
[[nodiscard]] std::string own_attention(const model::ModelConfig& config);

}  // namespace attnlab::experiment
