// The keys that may be written beside the options of a plugin: those that every cache takes. component_choice.cpp reads
// them, and the JSON Schema and `describe` list them.
#pragma once

#include <attnlab/api.h>

#include "config/keys.h"

namespace attnlab::experiment {

/// What every cache takes beside its own options.
[[nodiscard]] ATTNLAB_API const config::KeyTable& common_cache_keys();
/// The storages of keys and values apart: {k: ..., v: ..., page: ...}.
[[nodiscard]] ATTNLAB_API const config::KeyTable& storage_keys();

}  // namespace attnlab::experiment
