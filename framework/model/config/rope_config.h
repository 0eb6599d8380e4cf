// The rotary part of a model's keys: theta, the share of a head that is rotated, and the scaling, in the spelling of
// old configs (rope_scaling with `type`), newer ones (`rope_type`) and the newest (rope_parameters). Not public.
#pragma once

#include "model/config/config_fields.h"

namespace attnlab::model {

/// Reads the rotary keys into `config`, whose head_dim and max_positions must have been read (0 where they were wrong).
void read_rope(const ConfigFields& fields, UnknownKeys unknown_keys, ModelConfig& config);

}  // namespace attnlab::model
