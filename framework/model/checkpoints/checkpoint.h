// The weights of a checkpoint folder, whether they lie in one file or in shards, as one set of named tensors; and the
// reading of their elements as numbers. Nothing is read before it is asked for, and nothing is widened in memory as a
// whole: code that packs a weight asks for the ranges that it needs, from any number of threads.
// Not here: which tensors a model needs and what their shapes must be (the loader's), and config.json.
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <attnlab/api.h>

#include "model/checkpoints/gguf_file.h"
#include "model/checkpoints/mapped_file.h"
#include "model/checkpoints/safetensors.h"
#include "model/checkpoints/tensor_layout.h"

namespace attnlab::model {

/// A tensor and the file that holds it. Borrows both; valid as long as its Checkpoint.
struct StoredTensor {
  const MappedFile* file;
  const TensorInfo* info;

  [[nodiscard]] std::span<const std::byte> bytes() const { return file->bytes().subspan(info->offset, info->bytes); }
  /// Lets go of its whole pages: what was packed need not stay resident as well.
  void release() const noexcept { file->release(info->offset, info->bytes); }
};

/// A folder in Hugging Face layout, or a GGUF file, whose tensors then have the names and rows of that layout.
/// `model.safetensors` is used where it exists, as transformers does, and an index beside it is not read; otherwise
/// `model.safetensors.index.json` and its shards, or the only safetensors file of the folder. Names are those that a
/// model asks for: `_orig_mod.` and `module.` before them and a missing `model.` are seen through, and so are the
/// aliases of shared tensors in a file's metadata. Readable from many threads.
class ATTNLAB_API Checkpoint {
 public:
  /// Maps every file. Error: no such folder, neither file; what is wrong with a shard names the shard; what the index
  /// causes (a shard outside the folder or missing, a tensor that is listed but not there, there but not listed, or in
  /// two shards) names the index. Problems of the latter kind are reported together.
  [[nodiscard]] static Checkpoint open(const std::filesystem::path& path);

  /// From now on tensors have the names that a layout gives them, and what it ignores is not there. Error where a
  /// tensor that it cuts up has another shape, and where two tensors stand for one parameter. Tensors that it does not
  /// name stay as they are. Once.
  void arrange(const TensorLayout& layout);

  /// As it was opened.
  [[nodiscard]] const std::filesystem::path& folder() const noexcept { return folder_; }
  /// Every tensor's name, sorted.
  [[nodiscard]] std::vector<std::string> names() const;
  /// The same, but of what a layout has arranged those that it is stored by.
  [[nodiscard]] std::vector<std::string> stored_names() const;
  [[nodiscard]] std::optional<StoredTensor> find(std::string_view name) const;
  /// What the file calls it, or would if it had it.
  [[nodiscard]] std::string name_in_file(std::string_view name) const;
  [[nodiscard]] bool is_gguf_file() const noexcept { return gguf_.has_value(); }
  /// Whether both names stand for one stored tensor.
  [[nodiscard]] bool is_same(std::string_view a, std::string_view b) const;

 private:
  struct Place {
    std::size_t file;
    std::size_t tensor;
    const TensorInfo* arranged = nullptr;  // in place of the file's own
  };

  Checkpoint() = default;
  static Checkpoint open_folder(const std::filesystem::path& folder);
  [[nodiscard]] const std::filesystem::path& path_of(Place place) const;
  [[nodiscard]] const TensorInfo& tensor_of(Place place) const;
  void add(const std::string& stored, Place place);
  void place_once(const std::string& name, Place place);
  [[nodiscard]] static bool is_same_place(Place a, Place b);
  void add_aliases();
  void refuse_inner_names(const TensorLayout& layout) const;

  std::filesystem::path folder_;
  std::vector<SafetensorsFile> files_;
  std::optional<GgufFile> gguf_;  // instead of them
  std::map<std::string, Place, std::less<>> places_;
  std::deque<TensorInfo> arranged_;
  std::map<std::string, std::string, std::less<>> stored_names_;  // of what a layout names, there or not
};

/// Error (where = the file, what names the tensor) unless its type is F32, F16 or BF16. Every function below needs it.
ATTNLAB_API void check_weight_dtype(const StoredTensor& tensor);

/// Elements [first_element, first_element + out.size()) as float, exactly. The range must lie in the tensor.
ATTNLAB_API void read_f32(const StoredTensor& tensor, std::int64_t first_element, std::span<float> out);
/// The whole tensor; out.size() must be its element count.
ATTNLAB_API void read_f32(const StoredTensor& tensor, std::span<float> out);

/// The bit patterns of elements [first_element, first_element + out.size()) of an F16 or BF16 tensor.
ATTNLAB_API void read_bits16(const StoredTensor& tensor, std::int64_t first_element, std::span<std::uint16_t> out);

/// Index of the first element in [first_element, first_element + count) that is NaN or infinite.
[[nodiscard]] ATTNLAB_API std::optional<std::int64_t> first_nonfinite(const StoredTensor& tensor,
                                                                      std::int64_t first_element, std::int64_t count);
/// Which element of the stored tensor an element of an arranged one is.
[[nodiscard]] ATTNLAB_API std::int64_t element_in_file(const TensorInfo& info, std::int64_t element);
/// Error naming the tensor and the element if any element is NaN or infinite.
ATTNLAB_API void check_finite(const StoredTensor& tensor);

}  // namespace attnlab::model
