#include "training/trained_checkpoint.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <string>
#include <system_error>
#include <utility>

#include <attnlab/error.h>
#include <fmt/format.h>

#include "config/node.h"
#include "config/scalars.h"
#include "model/checkpoints/checkpoint.h"
#include "model/checkpoints/checkpoint_folder.h"
#include "model/checkpoints/safetensors.h"

namespace attnlab::training {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr const char* kEmbedding = "model.embed_tokens.weight";
constexpr const char* kHead = "lm_head.weight";

[[noreturn]] void fail_writing_to(const fs::path& path, const std::error_code& code) {
  throw Error(path.string(), "cannot be written: " + code.message(),
              code == std::errc::no_space_on_device ? "free some space there" : "");
}

std::error_code last_error() {
  return {errno, std::generic_category()};
}

// What was written is on the disk. A folder too: then its names are.
void sync_path(const fs::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) fail_writing_to(path, last_error());
  const bool synced = ::fsync(descriptor) == 0;
  const std::error_code code = last_error();
  ::close(descriptor);
  if (!synced) fail_writing_to(path, code);
}

void write_json(const fs::path& path, const ordered_json& json) {
  std::ofstream file(path, std::ios::binary);
  file << json.dump(2) << '\n';
  file.close();
  if (!file) fail_writing_to(path, last_error());
  sync_path(path);
}

// A folder beside the one that is meant; gone at the end unless it took its place.
class UnfinishedFolder {
 public:
  explicit UnfinishedFolder(fs::path target) : target_(std::move(target)) {
    // One name: what a killed process left is written over.
    path_ = target_.parent_path() / fmt::format(".{}.unfinished", target_.filename().string());
    std::error_code code;
    fs::remove_all(path_, code);
    fs::create_directory(path_, code);  // the folder that it stands in has to be there
    if (code) fail_writing_to(target_, code);
  }
  UnfinishedFolder(const UnfinishedFolder&) = delete;
  UnfinishedFolder& operator=(const UnfinishedFolder&) = delete;
  // Whatever is there now is not needed: what was not finished, or what the new folder replaced.
  ~UnfinishedFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }

  [[nodiscard]] const fs::path& path() const noexcept { return path_; }

  // Both names change at once where one is there already.
  void take_place() {
    sync_path(path_);
    const bool exists = model::is_there(target_);
    const int done = ::renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, target_.c_str(), exists ? RENAME_EXCHANGE : 0);
    if (done != 0) replace_in_two_steps(exists);
    sync_path(target_.has_parent_path() ? target_.parent_path() : fs::path("."));
  }

 private:
  // For file systems that cannot exchange names.
  void replace_in_two_steps(bool exists) {
    const std::error_code code = last_error();
    if (!exists || (code != std::errc::invalid_argument && code != std::errc::function_not_supported))
      fail_writing_to(target_, code);
    fs::path old = path_;
    old += ".old";
    std::error_code failed;
    fs::remove_all(old, failed);
    fs::rename(target_, old, failed);
    if (!failed) fs::rename(path_, target_, failed);
    if (failed) fail_writing_to(target_, failed);
    fs::remove_all(old, failed);
  }

  fs::path target_;
  fs::path path_;
};

ordered_json read_start(const fs::path& start) {
  if (!fs::is_directory(start)) return config::to_json(config::parse_file(start));
  std::ifstream file(start / "config.json");
  const ordered_json json = ordered_json::parse(file, nullptr, false);
  if (!json.is_object()) throw Error((start / "config.json").string(), "is no JSON object");
  return json;
}

// Consecutive tensors, as many as fit into one file.
std::vector<std::span<const model::OutputTensor>> shards_of(std::span<const model::OutputTensor> tensors,
                                                            std::uintmax_t most) {
  std::vector<std::span<const model::OutputTensor>> shards;
  std::size_t first = 0;
  std::uintmax_t bytes = 0;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (i > first && bytes + tensors[i].bytes.size() > most) {
      shards.push_back(tensors.subspan(first, i - first));
      first = i;
      bytes = 0;
    }
    bytes += tensors[i].bytes.size();
  }
  shards.push_back(tensors.subspan(first));
  return shards;
}

void write_weights(const fs::path& folder, std::span<const TrainedTensor> trained, std::uintmax_t shard_bytes) {
  std::vector<model::OutputTensor> tensors;
  std::uintmax_t total = 0;
  for (const TrainedTensor& tensor : trained) {
    tensors.push_back({tensor.name, model::DType::f32, tensor.shape, std::as_bytes(tensor.values)});
    total += tensor.values.size_bytes();
  }
  const auto shards = shards_of(tensors, shard_bytes);
  if (shards.size() == 1) return model::write_safetensors(folder / "model.safetensors", tensors);
  ordered_json map = ordered_json::object();
  for (std::size_t i = 0; i < shards.size(); ++i) {
    const std::string name = fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, shards.size());
    model::write_safetensors(folder / name, shards[i]);
    for (const model::OutputTensor& tensor : shards[i]) map[tensor.name] = name;
  }
  write_json(folder / model::kIndexFile, {{"metadata", {{"total_size", total}}}, {"weight_map", map}});
}

void copy_files(const std::vector<fs::path>& files, const fs::path& folder) {
  for (const fs::path& file : files) {
    const fs::path to = folder / file.filename();
    std::error_code code;
    fs::copy_file(file, to, code);
    if (code) throw Error(to.string(), fmt::format("cannot be copied from {}: {}", file.string(), code.message()));
    sync_path(to);
  }
}

}  // namespace

ordered_json config_of_start(const fs::path& start, model::Architecture architecture,
                             std::span<const TrainedTensor> tensors, const ordered_json& changed) {
  ordered_json config = read_start(start);
  const auto has = [&](const char* name) {
    return std::ranges::find(tensors, name, &TrainedTensor::name) != tensors.end();
  };
  if (!fs::is_directory(start)) {
    config["architectures"] = {model::architecture_name(architecture)};
    config["model_type"] = model::architecture_type(architecture);
  }
  if (has(kEmbedding)) config["tie_word_embeddings"] = !has(kHead);
  config["torch_dtype"] = "float32";
  if (config.contains("dtype")) config["dtype"] = "float32";  // its newer name
  for (const auto& [key, value] : changed.items()) config[key] = value;
  return config;
}

void write_checkpoint(const fs::path& folder, const CheckpointParts& parts, std::span<const TrainedTensor> tensors) {
  // "folder/" is the same folder; its name is needed.
  const fs::path target = folder.has_filename() ? folder : folder.parent_path();
  UnfinishedFolder unfinished(target);
  write_json(unfinished.path() / "config.json", parts.config);
  copy_files(parts.tokenizer_files, unfinished.path());
  if (!parts.tokenizer.is_null()) write_json(unfinished.path() / "tokenizer.json", parts.tokenizer);
  write_weights(unfinished.path(), tensors, parts.shard_bytes);
  unfinished.take_place();
}

bool is_whole_checkpoint(const fs::path& folder) try {
  (void)model::read_config_json(folder);
  return !model::Checkpoint::open(folder).names().empty();
} catch (const Error&) {
  return false;
}

}  // namespace attnlab::training
