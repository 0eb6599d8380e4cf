// Opening a checkpoint. The reading of elements is in checkpoint_elements.cpp.
#include "model/checkpoints/checkpoint.h"

#include <set>
#include <system_error>
#include <utility>

#include <attnlab/error.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "model/checkpoints/checkpoint_folder.h"
#include "model/checkpoints/gguf_names.h"
#include "model/checkpoints/strict_json.h"

namespace attnlab::model {
namespace {

constexpr std::size_t kMaxIndexBytes = 100'000'000;  // as much as a header may have
constexpr std::size_t kMaxProblems = 10;             // a wrong shard lacks hundreds of tensors

// Only plain names: an index must not make the program read files elsewhere.
bool stays_in_folder(std::string_view shard) {
  return !shard.empty() && shard != "." && shard != ".." &&
         shard.find_first_of(std::string_view("/\\\0", 3)) == shard.npos;
}

// The index: tensor name -> shard name, both as written.
std::map<std::string, std::string> read_weight_map(const std::filesystem::path& path) {
  const std::string where = path.string();
  const nlohmann::json index = read_strict_json(path, kMaxIndexBytes);
  if (!index.is_object()) throw Error(where, "is no JSON object but " + shown(index));
  const auto found = index.find("weight_map");
  if (found == index.end()) throw Error(where, "weight_map is missing", "an index maps tensor names to shard files");
  if (!found->is_object()) throw Error(where, "weight_map must be a map of strings, not " + shown(*found));
  std::map<std::string, std::string> shard_of;
  for (const auto& [name, shard] : found->items()) {
    if (!shard.is_string()) {
      throw Error(where, fmt::format("weight_map: tensor {} must map to a file name, not to {}", in_quotes(name),
                                     shown(shard)));
    }
    const auto& file = shard.get_ref<const std::string&>();
    if (!stays_in_folder(file)) {
      throw Error(
          where,
          fmt::format("weight_map: tensor {} lies in {}, which leaves the folder", in_quotes(name), in_quotes(file)),
          "name a file beside the index");
    }
    shard_of.emplace(name, file);
  }
  return shard_of;
}

// Collects what is wrong with an index and stops before the list gets useless.
class IndexProblems {
 public:
  explicit IndexProblems(std::string where) : where_(std::move(where)) {}

  void add(std::string what, std::string remedy = {}) {
    if (++count_ <= kMaxProblems) problems_.push_back({where_, std::move(what), std::move(remedy)});
  }
  void throw_if_any() {
    if (count_ == 0) return;
    if (count_ > kMaxProblems) problems_.push_back({where_, fmt::format("and {} more", count_ - kMaxProblems), {}});
    throw Error(std::move(problems_));
  }

 private:
  std::string where_;
  std::vector<Problem> problems_;
  std::size_t count_ = 0;
};

std::vector<SafetensorsFile> open_shards(const std::filesystem::path& folder,
                                         const std::map<std::string, std::string>& shard_of, IndexProblems& problems) {
  std::set<std::string> shards;
  for (const auto& [name, shard] : shard_of) shards.insert(shard);
  for (const std::string& shard : shards) {
    if (!is_there(folder / shard)) problems.add(fmt::format("the shard {} is missing", in_quotes(shard)));
  }
  problems.throw_if_any();
  std::vector<SafetensorsFile> files;
  for (const std::string& shard : shards) files.push_back(SafetensorsFile::open(folder / shard));
  return files;
}

// Index and shards must tell the same story, tensor by tensor.
void compare_with_index(const std::vector<SafetensorsFile>& files, const std::map<std::string, std::string>& shard_of,
                        IndexProblems& problems) {
  std::map<std::string_view, std::string> seen_in;
  for (const SafetensorsFile& file : files) {
    const std::string shard = file.path().filename().string();
    for (const TensorInfo& tensor : file.tensors()) {
      const std::string name = in_quotes(tensor.name);
      const auto [seen, first_time] = seen_in.emplace(tensor.name, shard);
      if (!first_time) {
        problems.add(
            fmt::format("tensor {} is in two shards, {} and {}", name, in_quotes(seen->second), in_quotes(shard)));
      } else if (!shard_of.contains(tensor.name)) {
        problems.add(fmt::format("tensor {} is in {} but not in weight_map", name, in_quotes(shard)));
      }
    }
  }
  for (const auto& [name, shard] : shard_of) {
    const auto seen = seen_in.find(name);
    if (seen != seen_in.end() && seen->second == shard) continue;
    const std::string elsewhere = seen == seen_in.end() ? "" : ", it is in " + in_quotes(seen->second);
    problems.add(fmt::format("weight_map: tensor {} is not in {}{}", in_quotes(name), in_quotes(shard), elsewhere));
  }
  problems.throw_if_any();
}

// The name without what torch.compile and DataParallel wrap around a model, in any order and number, and with the
// outermost name that a model saved without its head lacks.
std::string name_in_model(std::string_view name) {
  constexpr std::string_view kWrappers[] = {"_orig_mod.", "module."};
  for (bool is_wrapped = true; is_wrapped;) {
    is_wrapped = false;
    for (const std::string_view wrapper : kWrappers) {
      if (!name.starts_with(wrapper)) continue;
      name.remove_prefix(wrapper.size());
      is_wrapped = true;
    }
  }
  const bool lacks_model = name.starts_with("layers.") || name.starts_with("embed_tokens.") || name == "norm.weight";
  return (lacks_model ? "model." : "") + std::string(name);
}

}  // namespace

Checkpoint Checkpoint::open(const std::filesystem::path& path) {
  if (!is_gguf(path)) return open_folder(path);
  Checkpoint checkpoint;
  checkpoint.folder_ = path;
  checkpoint.gguf_ = open_gguf(path);
  arrange_as_checkpoint(*checkpoint.gguf_);
  checkpoint.gguf_->keys = nullptr;  // a vocabulary is large
  for (std::size_t i = 0; i < checkpoint.gguf_->tensors.size(); ++i)
    checkpoint.add(checkpoint_name(checkpoint.gguf_->tensors[i].name), {0, i});
  return checkpoint;
}

Checkpoint Checkpoint::open_folder(const std::filesystem::path& folder) {
  std::error_code failed;
  const auto status = std::filesystem::status(folder, failed);
  if (!std::filesystem::exists(status)) throw Error(folder.string(), "no such folder", "name a checkpoint folder");
  if (!std::filesystem::is_directory(status)) throw Error(folder.string(), "is no folder", "name a checkpoint folder");

  Checkpoint checkpoint;
  checkpoint.folder_ = folder;
  if (const auto file = weights_file(folder)) {
    checkpoint.files_.push_back(SafetensorsFile::open(*file));
  } else {
    IndexProblems problems((folder / kIndexFile).string());
    const auto shard_of = read_weight_map(folder / kIndexFile);
    checkpoint.files_ = open_shards(folder, shard_of, problems);
    compare_with_index(checkpoint.files_, shard_of, problems);
  }
  for (std::size_t file = 0; file < checkpoint.files_.size(); ++file) {
    const auto& tensors = checkpoint.files_[file].tensors();
    for (std::size_t i = 0; i < tensors.size(); ++i) checkpoint.add(tensors[i].name, {file, i});
  }
  checkpoint.add_aliases();
  return checkpoint;
}

// Under the name that models ask for, whatever saved it.
void Checkpoint::add(const std::string& stored, Place place) {
  place_once(name_in_model(stored), place);
}

void Checkpoint::place_once(const std::string& name, Place place) {
  const auto [found, is_new] = places_.emplace(name, place);
  if (is_new || is_same_place(found->second, place)) return;
  throw Error(path_of(place).string(),
              fmt::format("tensors {} and {} are the same parameter, {}", in_quotes(tensor_of(found->second).name),
                          in_quotes(tensor_of(place).name), name),
              "keep one of the two");
}

// Of tensors that share memory safetensors keeps one, and says in the metadata which names stood for it.
void Checkpoint::add_aliases() {
  for (std::size_t file = 0; file < files_.size(); ++file)
    for (const auto& [alias, kept] : files_[file].metadata())
      if (const auto found = places_.find(name_in_model(kept)); found != places_.end() && found->second.file == file)
        places_.emplace(name_in_model(alias), found->second);
}

// A name that only decoders have: whoever wrote such a file meant another model.
void Checkpoint::refuse_inner_names(const TensorLayout& layout) const {
  std::set<std::string_view> stored;
  for (const TensorLayout::Entry& entry : layout.entries()) stored.insert(entry.stored);
  for (const TensorLayout::Entry& entry : layout.entries()) {
    const auto found = places_.find(entry.name);
    if (found == places_.end() || stored.contains(entry.name)) continue;
    throw Error(path_of(found->second).string(),
                fmt::format("tensor {} belongs to no part of this model", in_quotes(tensor_of(found->second).name)),
                fmt::format("models of this architecture store it as {}", in_quotes(entry.stored)));
  }
}

void Checkpoint::arrange(const TensorLayout& layout) {
  if (!layout.prefix().empty()) {
    auto kept = std::exchange(places_, {});
    for (auto& [name, place] : kept)
      place_once(name.starts_with(layout.prefix()) ? name.substr(layout.prefix().size()) : name, place);
  }
  std::erase_if(places_, [&](const auto& place) { return layout.is_ignored(place.first); });
  refuse_inner_names(layout);
  std::map<std::string, Place, std::less<>> added;
  std::set<std::string, std::less<>> used;
  for (const TensorLayout::Entry& entry : layout.entries()) {
    stored_names_.emplace(entry.name, entry.stored);
    const auto found = places_.find(entry.stored);
    if (found == places_.end()) continue;  // who asks for it says so
    const TensorInfo& stored = tensor_of(found->second);
    if (!entry.stored_shape.empty() && stored.shape != entry.stored_shape)
      throw Error(path_of(found->second).string(),
                  fmt::format("tensor {} has shape [{}]", in_quotes(stored.name), fmt::join(stored.shape, ", ")),
                  fmt::format("the model needs [{}]", fmt::join(entry.stored_shape, ", ")));
    used.insert(entry.stored);
    TensorInfo arranged = stored;
    if (!entry.shape.empty()) arranged.shape = entry.shape;
    if (!entry.shape.empty() || entry.view.added != 0) arranged.view = entry.view;
    if (entry.shape.empty() && arranged.view && !arranged.shape.empty() && arranged.shape.front() > 0)
      arranged.view->row_stride = arranged.elements() / arranged.shape.front();
    Place place = found->second;
    place.arranged = &arranged_.emplace_back(std::move(arranged));
    added.emplace(entry.name, place);
  }
  for (const std::string& name : used) places_.erase(name);
  for (const auto& [name, place] : added) place_once(name, place);
}

std::vector<std::string> Checkpoint::names() const {
  std::vector<std::string> names;
  for (const auto& [name, place] : places_) names.push_back(name);
  return names;
}

std::vector<std::string> Checkpoint::stored_names() const {
  std::set<std::string> names;
  for (const auto& [name, place] : places_) names.insert(place.arranged == nullptr ? name : stored_names_.at(name));
  return {names.begin(), names.end()};
}

bool Checkpoint::is_same_place(Place a, Place b) {
  return a.file == b.file && a.tensor == b.tensor && a.arranged == b.arranged;
}

bool Checkpoint::is_same(std::string_view a, std::string_view b) const {
  const auto first = places_.find(a);
  const auto second = places_.find(b);
  return first != places_.end() && second != places_.end() && is_same_place(first->second, second->second);
}

std::optional<StoredTensor> Checkpoint::find(std::string_view name) const {
  const auto found = places_.find(name);
  if (found == places_.end()) return std::nullopt;
  const Place place = found->second;
  return StoredTensor{gguf_ ? &gguf_->file : &files_[place.file].file(), &tensor_of(place)};
}

std::string Checkpoint::name_in_file(std::string_view name) const {
  if (const auto found = places_.find(name); found != places_.end()) return tensor_of(found->second).name;
  if (const auto found = stored_names_.find(name); found != stored_names_.end()) return found->second;
  return gguf_ ? gguf_name(name) : std::string(name);
}

const std::filesystem::path& Checkpoint::path_of(Place place) const {
  return gguf_ ? gguf_->file.path() : files_[place.file].path();
}

const TensorInfo& Checkpoint::tensor_of(Place place) const {
  if (place.arranged != nullptr) return *place.arranged;
  return gguf_ ? gguf_->tensors[place.tensor] : files_[place.file].tensors()[place.tensor];
}

}  // namespace attnlab::model
