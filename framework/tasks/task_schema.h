// Tasks in the JSON Schema of experiments, from the declarations that read_task checks.
#pragma once

#include <nlohmann/json.hpp>

#include <attnlab/api.h>

namespace attnlab::tasks {

/// Adds `task` (what `train: {task: ...}` takes), a definition `task_NAME` for each kind, and `count`.
ATTNLAB_API void define_tasks(nlohmann::ordered_json& definitions);

/// A map of one task, by references to the definitions.
[[nodiscard]] nlohmann::ordered_json one_task();

}  // namespace attnlab::tasks
