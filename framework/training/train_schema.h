// What `train:` looks like in the JSON Schema, from the tables of train_keys.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <attnlab/api.h>

namespace attnlab::training {

/// Adds "train", "arm_train" (keys of it, or none) and the forms that they name, but for those of the tasks.
ATTNLAB_API void define_train(nlohmann::ordered_json& definitions);

}  // namespace attnlab::training
