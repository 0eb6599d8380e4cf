// MODEL as people name it: a folder in Hugging Face layout, a GGUF file, a model YAML whose weights come from a seed,
// or a model that code makes together with its weights.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <attnlab/api.h>

#include "model/config/model_config.h"
#include "model/tokenizers/tokenizer.h"
#include "model/weight_store.h"

namespace attnlab::experiment {

class ATTNLAB_API ModelSource {
 public:
  /// The file or folder that a name stands for: `~` and `$HOME` at its beginning are the user's own folder, and an
  /// entry of a Hugging Face cache is its snapshot. Error where the entry has none.
  [[nodiscard]] static std::filesystem::path resolve(const std::filesystem::path& named);
  /// Resolves the name and reads the configuration; weights and tokenizer are read when they are asked for. Error
  /// (where = the path) if there is no such model or its configuration is wrong.
  static ModelSource open(const std::filesystem::path& path);
  /// The same model with some keys otherwise, of random weights alone: what an arm changes of a model YAML. Error at a
  /// key's own place.
  [[nodiscard]] ModelSource with_keys(const std::vector<model::ConfigEntry>& changed) const;
  /// The same model, whose text is cut as that of the folder: what it is trained on decides.
  [[nodiscard]] ModelSource with_tokenizer(std::filesystem::path folder) const;
  /// A configuration made by code, with weights from a seed.
  static ModelSource from_seed(const model::ModelConfig& config);
  /// The model that code makes under this name: "recall".
  static ModelSource from_code(const std::string& name);

  /// Empty for a model without files.
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  /// The name of a model that code makes; else empty.
  [[nodiscard]] const std::string& constructed() const noexcept { return constructed_; }
  [[nodiscard]] const model::ModelConfig& config() const noexcept { return config_; }
  /// Weights from a seed instead of a checkpoint.
  [[nodiscard]] bool is_random() const noexcept { return is_random_; }

  /// The stored weights under the names that decoders ask for. Only of a model that has files of weights.
  [[nodiscard]] model::Checkpoint checkpoint() const;
  [[nodiscard]] model::WeightStore weights(std::uint64_t seed, bool allow_nonfinite) const;
  /// The weights and the shape of `trained`, whose text is cut as this model's.
  [[nodiscard]] ModelSource with_weights(const std::filesystem::path& trained) const;
  /// Of with_tokenizer; empty: the model's own.
  [[nodiscard]] const std::filesystem::path& tokenizer_folder() const noexcept { return tokenizer_; }
  /// What with_keys changed: {"hidden_size": 64}.
  [[nodiscard]] nlohmann::ordered_json changed_keys() const;
  /// The folder whose tokenizer cuts the model's text; empty: its ids are bytes.
  [[nodiscard]] std::filesystem::path text_folder() const;
  /// Of that folder; one token per byte for other models.
  [[nodiscard]] std::unique_ptr<model::Tokenizer> tokenizer() const;

 private:
  std::filesystem::path path_;
  model::ModelConfig config_;
  bool is_random_ = false;
  std::vector<model::ConfigEntry> changed_;
  std::filesystem::path tokenizer_;  // a folder; empty: the model's own
  int byte_vocabulary_ = 0;          // ids of a model whose text is bytes, where another model's weights are used
  std::string constructed_;
};

}  // namespace attnlab::experiment
