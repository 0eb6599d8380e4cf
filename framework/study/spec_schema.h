// The JSON Schema of experiments: the tables of spec_keys and the options that the loaded plugins declare, put together
// as the readers take them. Names of components that are not loaded are allowed, with any options, so that an editor
// does not refuse a plugin that lives elsewhere; the options of those that are loaded are closed.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <attnlab/api.h>

#include "registry/registry.h"

namespace attnlab::experiment {

[[nodiscard]] ATTNLAB_API nlohmann::ordered_json experiment_schema(const Registry& registry);

}  // namespace attnlab::experiment
