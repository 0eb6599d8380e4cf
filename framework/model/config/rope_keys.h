// Which keys a rotary scaling has: what a map of them holds beside its own is refused.
// Not here: what the keys mean and which values they take (rope_config.cpp). Not public.
#pragma once

#include <string>
#include <vector>

#include "model/config/config_fields.h"

namespace attnlab::model {

/// The scalings, `default` (none) left out.
[[nodiscard]] const std::vector<std::string>& rope_types();

/// Whether the map holds a key of some scaling, so that it must name one.
[[nodiscard]] bool holds_scaling_keys(const ConfigFields& fields);

/// Notes the keys that `type` does not have: in a config.json with the types that have it or the nearest name. There
/// `finetuned` says nothing, and the original length is taken beside any type if it is `max_positions`.
void check_rope_keys(const ConfigFields& fields, const std::string& type, UnknownKeys unknown_keys, int max_positions);

/// Notes it where a config holds both rope_scaling and rope_parameters and they ask for different scalings. rope_theta
/// and partial_rotary_factor are compared where they are read.
void check_same_scaling(const ConfigFields& scaling, const ConfigFields& parameters);

}  // namespace attnlab::model
