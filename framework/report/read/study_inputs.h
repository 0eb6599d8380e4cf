// Which model a study is about: stored with the study in environment.json, so that no figure stands without it and the
// figures of two models are never taken for those of one.
// Not here: the texts, which belong to their cases (CaseLayout::data).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <attnlab/api.h>
#include <nlohmann/json_fwd.hpp>

namespace attnlab::report {

struct FileIdentity {
  std::string name;  // within the model's folder
  std::uint64_t bytes = 0;
  std::string sha256;

  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};

struct ModelIdentity {
  std::string path;          // as the experiment reaches it, or the name of a model that code makes; empty: not known
  std::string weights;       // where they come from: "checkpoint", "seed", "code"; "training": of the study itself
  std::string architecture;  // "LlamaForCausalLM"
  std::map<std::string, double> shape;  // "hidden_size", "num_hidden_layers" ...: keys as in config.json
  std::int64_t parameters = 0;          // 0: not known
  std::string config_sha256;            // of its keys and values, whatever their order and layout
  std::string weights_sha256;    // of the file, or of the hashes of all files; of shape and seeds where they are random
  std::string tokenizer_sha256;  // likewise; empty: one token for every byte
  std::vector<FileIdentity> files;  // of a checkpoint: config, tokenizer and weights

  [[nodiscard]] bool is_known() const { return !path.empty(); }
  [[nodiscard]] bool is_random() const { return weights == "seed"; }
  /// Layers and widths: what speeds and bytes depend on.
  [[nodiscard]] bool has_shape_of(const ModelIdentity& other) const {
    return architecture == other.architecture && shape == other.shape;
  }

  friend bool operator==(const ModelIdentity&, const ModelIdentity&) = default;
};

ATTNLAB_API void to_json(nlohmann::json& json, const ModelIdentity& model);
/// Keys that are missing keep their defaults. Throws nlohmann::json::exception for a value of the wrong type.
ATTNLAB_API void from_json(const nlohmann::json& json, ModelIdentity& model);

}  // namespace attnlab::report
