#include "report/read/study_inputs.h"

#include <nlohmann/json.hpp>

namespace attnlab::report {

void to_json(nlohmann::json& json, const ModelIdentity& model) {
  nlohmann::json files = nlohmann::json::array();
  for (const FileIdentity& file : model.files)
    files.push_back({{"name", file.name}, {"bytes", file.bytes}, {"sha256", file.sha256}});
  json = {{"path", model.path},
          {"weights", model.weights},
          {"architecture", model.architecture},
          {"shape", model.shape},
          {"parameters", model.parameters},
          {"config_sha256", model.config_sha256},
          {"weights_sha256", model.weights_sha256},
          {"tokenizer_sha256", model.tokenizer_sha256},
          {"files", files}};
}

void from_json(const nlohmann::json& json, ModelIdentity& model) {
  model = {};
  model.path = json.value("path", "");
  model.weights = json.value("weights", "");
  model.architecture = json.value("architecture", "");
  model.shape = json.value("shape", std::map<std::string, double>());
  model.parameters = json.value("parameters", std::int64_t{0});
  model.config_sha256 = json.value("config_sha256", "");
  model.weights_sha256 = json.value("weights_sha256", "");
  model.tokenizer_sha256 = json.value("tokenizer_sha256", "");
  for (const nlohmann::json& file : json.value("files", nlohmann::json::array()))
    model.files.push_back({file.at("name"), file.value("bytes", std::uint64_t{0}), file.value("sha256", "")});
}

}  // namespace attnlab::report
