// The file of `attnlab train`: a model, a seed, what of the model is replaced, and how it is trained.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include <attnlab/api.h>

#include "choices/component_choice.h"
#include "choices/layered_choice.h"
#include "config/node.h"
#include "training/train_choice.h"

namespace attnlab::training {

struct TrainFile {
  std::filesystem::path file;
  std::filesystem::path model;  // a folder or a YAML file, as the program opens it
  config::Mark model_where;
  std::int64_t seed = 1;
  std::optional<experiment::LayeredChoice> attention, position;  // none: the model's own
  TrainChoice train;
};

/// Error with every problem that was found. The task's name and options, and the model, are looked at later.
[[nodiscard]] ATTNLAB_API TrainFile read_train_file(const std::filesystem::path& file,
                                                    const experiment::ComponentLookup& lookup);

}  // namespace attnlab::training
