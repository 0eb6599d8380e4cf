// Which architecture a set of keys is of, and which keys it may have. Not public.
#pragma once

#include "model/config/config_fields.h"

namespace attnlab::model {

/// From `architectures`, else `model_type`; for a model YAML that names none Llama, or AttnLab's own where it has keys
/// of a body. Throws at once, naming what is supported: the keys of an architecture that is not known mean nothing.
[[nodiscard]] Architecture read_architecture(const ConfigFields& fields, UnknownKeys unknown_keys);

/// Notes keys that the file should not have, and nulls where a value is needed; only if unknown keys are refused.
void check_keys(const ConfigFields& fields, Architecture architecture, UnknownKeys unknown_keys);

}  // namespace attnlab::model
