// What a training leaves: a folder in Hugging Face layout, which every command and other engines read. It appears
// whole, in place of the one before.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include <nlohmann/json.hpp>

#include <attnlab/api.h>

#include "model/config/model_config.h"
#include "training/trained_tensor.h"

namespace attnlab::training {

/// Weights beyond this lie in several files with an index, as transformers writes them.
inline constexpr std::uintmax_t kShardBytes = std::uintmax_t{5} << 30;

struct CheckpointParts {
  nlohmann::ordered_json config;                            // of config_of_start
  std::vector<std::filesystem::path> tokenizer_files = {};  // copied under their own names
  nlohmann::ordered_json tokenizer = {};     // tokenizer.json, where no file is copied: byte_tokenizer_json
  std::uintmax_t shard_bytes = kShardBytes;  // a tensor that is larger has a file of its own
};

/// Keys of the config.json of a model that began as `start`: a checkpoint folder or a model YAML. Weights are F32
/// (`torch_dtype`); a YAML's architecture is named, and whether head and embeddings are one tensor is written out, as
/// `tensors` has it. `changed` are keys that the training's choices changed (num_key_value_heads), as they should be.
[[nodiscard]] ATTNLAB_API nlohmann::ordered_json config_of_start(const std::filesystem::path& start,
                                                                 model::Architecture architecture,
                                                                 std::span<const TrainedTensor> tensors,
                                                                 const nlohmann::ordered_json& changed = {});

/// Writes the folder under another name beside `folder`, then renames. A kill at any instant leaves the checkpoint that
/// was there, or the new one. Error where it cannot be written; what was there stays.
ATTNLAB_API void write_checkpoint(const std::filesystem::path& folder, const CheckpointParts& parts,
                                  std::span<const TrainedTensor> tensors);

/// Whether the folder has a config and weights whose headers are whole.
[[nodiscard]] ATTNLAB_API bool is_whole_checkpoint(const std::filesystem::path& folder);

}  // namespace attnlab::training
