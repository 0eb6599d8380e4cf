// The configuration of a GGUF file, as the config.json that its model had in Hugging Face layout.
#pragma once

#include <filesystem>

#include <nlohmann/json.hpp>

#include <attnlab/api.h>

#include "model/checkpoints/gguf_file.h"
#include "model/config/model_config.h"

namespace attnlab::model {

/// Keys of a config.json. Error where a key that it needs is missing or of the wrong kind, naming it.
[[nodiscard]] ATTNLAB_API nlohmann::ordered_json gguf_config(const GgufFile& gguf);

/// As read_config_json.
[[nodiscard]] ATTNLAB_API ModelConfig read_gguf_config(const std::filesystem::path& path);

}  // namespace attnlab::model
