#include "assembly/model_source.h"

#include <algorithm>
#include <utility>

#include <attnlab/error.h>

#include "config/node.h"
#include "config/path_text.h"
#include "config/scalars.h"
#include "model/checkpoints/checkpoint_folder.h"
#include "model/checkpoints/gguf_file.h"
#include "model/config/gguf_config.h"
#include "model/constructed_recall.h"

namespace attnlab::experiment {
namespace fs = std::filesystem;
namespace {

model::ModelConfig read_model_yaml(const fs::path& path, const std::vector<model::ConfigEntry>& changed) {
  const config::Node root = config::parse_file(path);
  if (!root.is_map()) throw Error(root.mark().text(), "a model YAML is a map of checkpoint keys");
  std::vector<model::ConfigEntry> entries;
  for (const config::Node::Entry& entry : root.entries())
    if (std::ranges::find(changed, entry.key, &model::ConfigEntry::key) == changed.end())
      entries.push_back({entry.key, config::to_json(entry.value), entry.key_mark.text()});
  entries.insert(entries.end(), changed.begin(), changed.end());
  return model::model_config(entries, model::UnknownKeys::refused, path.string());
}

}  // namespace

fs::path ModelSource::resolve(const fs::path& named) {
  const fs::path path = config::with_home(named.string());
  std::error_code error;
  return fs::is_directory(path, error) ? model::checkpoint_folder(path) : path;
}

ModelSource ModelSource::open(const fs::path& named) {
  const fs::path path = resolve(named);
  ModelSource source;
  std::error_code error;
  source.path_ = path;
  if (fs::is_directory(path, error)) {
    source.config_ = model::read_config_json(path);
  } else if (fs::exists(path, error) && model::is_gguf(path)) {
    source.config_ = model::read_gguf_config(path);
  } else if (fs::exists(path, error)) {
    if (path.extension() != ".yaml" && path.extension() != ".yml")
      throw Error(path.string(), "is neither a checkpoint folder, nor a GGUF file, nor a model YAML");
    source.is_random_ = true;
    source.config_ = read_model_yaml(path, {});
  } else {
    throw Error(path.string(), "there is no such model", "name a checkpoint folder, a GGUF file or a model YAML");
  }
  return source;
}

ModelSource ModelSource::with_keys(const std::vector<model::ConfigEntry>& changed) const {
  if (changed.empty()) return *this;
  if (!is_random_ || path_.empty())
    throw Error(changed.front().where, "model: only a model YAML, whose weights are random, can be changed by an arm",
                "name a model YAML as the experiment's model, or leave the arm's model out");
  ModelSource source = *this;
  source.changed_ = changed;
  source.config_ = read_model_yaml(path_, changed);
  return source;
}

ModelSource ModelSource::with_tokenizer(fs::path folder) const {
  ModelSource source = *this;
  source.tokenizer_ = std::move(folder);
  return source;
}

ModelSource ModelSource::with_weights(const fs::path& trained) const {
  ModelSource source = open(trained);
  source.tokenizer_ = tokenizer_;
  if (tokenizer_.empty() && (path_.empty() || is_random_)) source.byte_vocabulary_ = config_.vocab_size;
  if (tokenizer_.empty() && source.byte_vocabulary_ == 0) source.tokenizer_ = path_;
  return source;
}

nlohmann::ordered_json ModelSource::changed_keys() const {
  nlohmann::ordered_json keys = nlohmann::ordered_json::object();
  for (const model::ConfigEntry& entry : changed_) keys[entry.key] = entry.value;
  return keys;
}

ModelSource ModelSource::from_seed(const model::ModelConfig& config) {
  ModelSource source;
  source.is_random_ = true;
  source.config_ = config;
  return source;
}

ModelSource ModelSource::from_code(const std::string& name) {
  ATTNLAB_CHECK(name == model::kConstructedRecall,
                "a constructed model that the reader of the experiment should have refused");
  ModelSource source;
  source.constructed_ = name;
  source.config_ = model::constructed_recall_config();
  return source;
}

model::Checkpoint ModelSource::checkpoint() const {
  model::Checkpoint checkpoint = model::Checkpoint::open(path_);
  checkpoint.arrange(model::layout_of(config_));
  return checkpoint;
}

model::WeightStore ModelSource::weights(std::uint64_t seed, bool allow_nonfinite) const {
  if (!constructed_.empty()) return {model::constructed_recall_tensors(config_), config_};
  if (is_random_) return {seed, config_};
  return {checkpoint(), config_, allow_nonfinite, seed};
}

fs::path ModelSource::text_folder() const {
  if (!tokenizer_.empty()) return tokenizer_;
  return byte_vocabulary_ > 0 || is_random_ ? fs::path() : path_;
}

std::unique_ptr<model::Tokenizer> ModelSource::tokenizer() const {
  if (const fs::path folder = text_folder(); !folder.empty()) return model::load_tokenizer(folder);
  return model::byte_tokenizer(byte_vocabulary_ > 0 ? byte_vocabulary_ : config_.vocab_size);
}

}  // namespace attnlab::experiment
