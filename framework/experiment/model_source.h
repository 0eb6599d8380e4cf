// MODEL as people name it: a folder in Hugging Face layout, or a model YAML whose weights come from a seed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

#include <attnlab/api.h>

#include "model/model_config.h"
#include "model/tokenizer.h"
#include "model/weight_store.h"

namespace attnlab::experiment {

class ATTNLAB_API ModelSource {
 public:
  /// Reads the configuration; weights and tokenizer are read when they are asked for. Error (where = the path) if there
  /// is no such model or its configuration is wrong.
  static ModelSource open(const std::filesystem::path& path);

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  [[nodiscard]] const model::ModelConfig& config() const noexcept { return config_; }
  /// Weights from a seed instead of a checkpoint.
  [[nodiscard]] bool is_random() const noexcept { return is_random_; }

  [[nodiscard]] model::WeightStore weights(std::uint64_t seed, bool allow_nonfinite) const;
  /// Of the folder, or one token per byte for a model YAML.
  [[nodiscard]] std::unique_ptr<model::Tokenizer> tokenizer() const;

 private:
  std::filesystem::path path_;
  model::ModelConfig config_;
  bool is_random_ = false;
};

}  // namespace attnlab::experiment
