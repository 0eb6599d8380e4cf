// What stands beside the options of a plugin where a component is chosen: the keys that every cache takes. What
// component_choice.cpp reads, and what the JSON Schema and `describe` say.
#pragma once

#include <attnlab/api.h>

#include "config/keys.h"

namespace attnlab::experiment {

/// What every cache takes beside its own options.
[[nodiscard]] ATTNLAB_API const config::KeyTable& common_cache_keys();
/// The storages of keys and values apart: {k: ..., v: ..., page: ...}.
[[nodiscard]] ATTNLAB_API const config::KeyTable& storage_keys();

}  // namespace attnlab::experiment
