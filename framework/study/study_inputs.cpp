#include "study/study_inputs.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <set>
#include <string_view>

#include "base/sha256.h"
#include "config/scalars.h"
#include "model/body.h"
#include "model/checkpoints/checkpoint.h"
#include "model/checkpoints/gguf_file.h"
#include "model/config/gguf_config.h"
#include "report/read/trial_result.h"

namespace attnlab::experiment {
namespace {

namespace fs = std::filesystem;

// Keys of a config.json that name the program that wrote it and do not describe the model.
constexpr std::string_view kOfTheWriter[] = {"_name_or_path", "transformers_version"};
constexpr std::string_view kTokenizerFiles[] = {
    "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    "vocab.json",     "merges.txt"};

std::map<std::string, double> shape_of(const model::ModelConfig& config) {
  std::map<std::string, double> shape{{"hidden_size", config.hidden_dim},
                                      {"num_hidden_layers", config.layers},
                                      {"intermediate_size", config.intermediate_dim},
                                      {"num_attention_heads", config.heads},
                                      {"num_key_value_heads", config.kv_heads},
                                      {"head_dim", config.head_dim},
                                      {"vocab_size", config.vocab_size}};
  // Kinds by their numbers, of bodies that are not a Llama's.
  if (config.norm != NormKind::rms) shape["norm"] = static_cast<double>(config.norm);
  if (config.mlp != model::MlpKind::gated) shape["mlp"] = static_cast<double>(config.mlp);
  if (config.activation != Activation::silu) shape["activation"] = static_cast<double>(config.activation);
  return shape;
}

// With the attention of the model itself: an arm may have more or less.
std::int64_t parameters_of(const model::ModelConfig& config, bool is_tied) {
  const std::int64_t hidden = config.hidden_dim, width = config.head_dim;
  const std::int64_t q = width * config.heads, kv = width * config.kv_heads;
  std::int64_t layer = hidden * (2 * q + 2 * kv);
  if (config.qkv_bias) layer += q + 2 * kv;
  if (config.o_bias) layer += hidden;
  if (config.qk_norm == model::QkNorm::heads) layer += 2 * width;
  return config.layers * layer + model::body_parameters(config) + (is_tied ? 1 : 2) * hidden * config.vocab_size;
}

// Of keys and values: comments, order and blanks are no other model.
std::string config_hash(const fs::path& path) {
  nlohmann::json keys = fs::is_directory(path) ? report::read_json(path / "config.json")
                        : model::is_gguf(path) ? nlohmann::json(model::gguf_config(model::open_gguf(path)))
                                               : nlohmann::json(config::to_json(config::parse_file(path)));
  for (const std::string_view key : kOfTheWriter) keys.erase(std::string(key));
  return sha256_of_text(keys.dump());
}

// The hash of a file alone, so that `sha256sum` finds it; else that of all names and hashes.
std::string hash_of(const std::vector<report::FileIdentity>& files) {
  if (files.empty()) return {};
  if (files.size() == 1) return files.front().sha256;
  std::string all;
  for (const report::FileIdentity& file : files) all += file.sha256 + "  " + file.name + "\n";
  return sha256_of_text(all);
}

report::FileIdentity identity_of(const fs::path& file, FileHashes& hashes) {
  return {file.filename().string(), fs::file_size(file), hashes.sha256(file)};
}

void add_checkpoint(const ModelSource& source, FileHashes& hashes, report::ModelIdentity& model) {
  model.weights = "checkpoint";
  const model::Checkpoint checkpoint = source.checkpoint();
  std::set<fs::path> of_weights;
  for (const std::string& name : checkpoint.names()) {
    const model::StoredTensor tensor = *checkpoint.find(name);
    of_weights.insert(tensor.file->path());
    model.parameters += tensor.info->elements();
  }
  std::vector<report::FileIdentity> weights, tokenizer;
  for (const fs::path& file : of_weights) weights.push_back(identity_of(file, hashes));
  for (const std::string_view name : kTokenizerFiles)
    if (std::error_code ignored; fs::is_regular_file(source.path() / name, ignored))
      tokenizer.push_back(identity_of(source.path() / name, hashes));
  model.weights_sha256 = hash_of(weights);
  model.tokenizer_sha256 = hash_of(tokenizer);
  if (model::is_gguf(source.path())) model.tokenizer_sha256 = model.weights_sha256;  // one file holds both
  if (!model::is_gguf(source.path())) model.files = {identity_of(source.path() / "config.json", hashes)};
  model.files.insert(model.files.end(), tokenizer.begin(), tokenizer.end());
  model.files.insert(model.files.end(), weights.begin(), weights.end());
}

}  // namespace

report::ModelIdentity model_identity(const Plan& plan) {
  const ModelSource& source = *plan.source;
  const model::ModelConfig& config = source.config();
  report::ModelIdentity model;
  model.architecture = model::architecture_name(config.architecture);
  model.shape = shape_of(config);
  if (!source.constructed().empty()) {
    model.path = source.constructed();
    model.weights = "code";
    model.parameters = parameters_of(config, config.tie_word_embeddings.value_or(false));
    model.config_sha256 = model.weights_sha256 = sha256_of_text("constructed " + source.constructed());
    return model;
  }
  model.path = source.path().lexically_normal().string();
  model.config_sha256 = config_hash(source.path());
  if (source.is_random()) {
    model.weights = "seed";
    model.parameters = parameters_of(config, config.tie_word_embeddings.value_or(false));
    model.weights_sha256 =
        sha256_of_text(fmt::format("random {} {}", model.config_sha256, fmt::join(plan.spec.seeds, " ")));
  } else {
    add_checkpoint(source, *plan.files, model);
  }
  if (plan.trainings.empty()) return model;
  // What comes out of the trainings is told by where they start and what they are.
  model.weights = "training";
  std::set<std::string> trainings;  // whatever the seeds
  for (const TrainingGroup& group : plan.groups) {
    const TrainedAs& trained = *plan.arms[group.arms.front()].trained;
    trainings.insert(training::describe_train(trained.choice).dump() + trained.task_digest);
  }
  std::string all = source.is_random() ? model.config_sha256 : model.weights_sha256;
  for (const std::string& training : trainings) all += training;
  model.weights_sha256 = sha256_of_text(all);
  return model;
}

}  // namespace attnlab::experiment
