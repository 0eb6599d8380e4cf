#include "model/checkpoints/checkpoint_folder.h"

#include <algorithm>
#include <fstream>
#include <system_error>
#include <vector>

#include <attnlab/error.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace attnlab::model {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostEntries = 10'000;
constexpr const char* kSingleFile = "model.safetensors";
constexpr const char* kAdapterFile = "adapter_model.safetensors";  // weights that change a model, not a model

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code failure;
  for (fs::directory_iterator entry(folder, failure), end; !failure && entry != end && names.size() < kMostEntries;
       entry.increment(failure))
    names.push_back(entry->path().filename().string());
  std::ranges::sort(names);
  return names;
}

std::vector<std::string> with_ending(const std::vector<std::string>& names, std::string_view ending) {
  std::vector<std::string> found;
  for (const std::string& name : names)
    if (name.ends_with(ending)) found.push_back(name);
  return found;
}

// A file with weights in another format; empty if there is none. training_args.bin and its kin also end in .bin, so
// the names that transformers writes come first.
std::string other_weights(const std::vector<std::string>& names) {
  for (const std::string& name : names)
    if (name.starts_with("pytorch_model") && name.ends_with(".bin")) return name;
  for (const char* ending : {".bin", ".pt", ".pth", ".gguf", ".msgpack", ".h5", kAdapterFile})
    if (const std::vector<std::string> found = with_ending(names, ending); !found.empty()) return found.front();
  return {};
}

// By its name, however the path to it is written: "models--o--n/", or "." inside of it.
bool is_cache_entry(const fs::path& folder) {
  std::error_code failed;
  const fs::path whole = (fs::absolute(folder, failed) / "").lexically_normal().parent_path();
  return whole.filename().string().starts_with("models--") && is_there(folder / "snapshots");
}

// The snapshot that the hub calls main: the one line of refs/main. Empty where there is none.
std::string main_revision(const fs::path& folder) {
  std::ifstream file(folder / "refs" / "main");
  std::string revision;
  file >> revision;
  return revision;
}

}  // namespace

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(fs::symlink_status(path, ignored));
}

fs::path checkpoint_folder(const fs::path& folder) {
  if (is_there(folder / "config.json") || !is_cache_entry(folder)) return folder;
  const fs::path place = folder / "snapshots";
  std::vector<std::string> snapshots = names_in(place);
  std::erase_if(snapshots, [&](const std::string& name) { return !is_there(place / name / "config.json"); });
  if (snapshots.empty())
    throw Error(folder.string(), "is an entry of a Hugging Face cache without a complete snapshot",
                "no folder below snapshots/ holds a config.json; download the model again");
  const std::string main = main_revision(folder);
  if (std::ranges::find(snapshots, main) != snapshots.end()) return place / main;
  if (!main.empty())
    throw Error(folder.string(), fmt::format("refs/main names the snapshot {}, which holds no config.json", main),
                fmt::format("download the model again, or name one: {}", fmt::join(snapshots, ", ")));
  if (snapshots.size() == 1) return place / snapshots.front();
  throw Error(folder.string(),
              fmt::format("is an entry of a Hugging Face cache with {} snapshots and no refs/main", snapshots.size()),
              fmt::format("name one: {}", fmt::join(snapshots, ", ")));
}

std::string what_else_it_is(const fs::path& folder) {
  const std::vector<std::string> names = names_in(folder);
  const auto has = [&](std::string_view name) { return std::ranges::find(names, name) != names.end(); };
  if (has("adapter_config.json"))
    return "the folder holds an adapter (adapter_config.json), not a model: merge it into its base model and name the "
           "result";
  if (has("params.json"))
    return "the folder is in the layout of the model's makers (params.json): use the Hugging Face files of the same "
           "model";
  if (!with_ending(names, ".gguf").empty()) return "the folder holds GGUF files: name the one that is meant";
  if (has("model_index.json"))
    return "the folder is a pipeline (model_index.json): name the language model's folder in it";
  for (const std::string& name : names)
    if (is_there(folder / name / "config.json")) return fmt::format("the folder {} in it has one: name that", name);
  return {};
}

std::optional<fs::path> weights_file(const fs::path& folder) {
  if (is_there(folder / kSingleFile)) return folder / kSingleFile;
  if (is_there(folder / kIndexFile)) return std::nullopt;
  const std::vector<std::string> names = names_in(folder);
  std::vector<std::string> files = with_ending(names, ".safetensors");
  std::erase(files, kAdapterFile);
  if (files.size() == 1) return folder / files.front();
  if (files.size() > 1)
    throw Error(folder.string(),
                fmt::format("holds several safetensors files ({}) and no index", fmt::join(files, ", ")),
                fmt::format("keep the one that is the model, or add {}", kIndexFile));
  const std::string other = other_weights(names);
  throw Error(folder.string(),
              fmt::format("holds neither {} nor {}{}", kSingleFile, kIndexFile, other.empty() ? "" : ", but " + other),
              other.ends_with(".gguf") ? "name the GGUF file itself"
                                       : "weights in other formats must be converted to safetensors");
}

}  // namespace attnlab::model
