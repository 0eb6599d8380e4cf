// Safetensors files: the format of checkpoints, of recorded streams and of everything the program hands back as
// tensors. A file is mapped, never read into memory, so a checkpoint costs the pages that are being packed and no
// more. Nothing in a file is trusted: a header with wrong sizes, offsets or names is refused before any tensor
// is read. Not here: which tensors a model needs (see checkpoint.h and the loader).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <attnlab/api.h>

#include "model/checkpoints/mapped_file.h"

namespace attnlab::model {

/// The element types of the format, spelled as in a header but in lower case. Those below 8 bits are packed.
enum class DType {
  boolean,
  u8,
  i8,
  f8_e5m2,
  f8_e4m3,
  f8_e8m0,
  f6_e2m3,
  f6_e3m2,
  f4,
  i16,
  u16,
  f16,
  bf16,
  i32,
  u32,
  f32,
  c64,
  f64,
  i64,
  u64
};

/// As written in a header: "F32".
[[nodiscard]] ATTNLAB_API std::string_view dtype_name(DType dtype) noexcept;
/// The type of that header name; nothing if the format has no such type.
[[nodiscard]] ATTNLAB_API std::optional<DType> dtype_named(std::string_view name) noexcept;
/// Bits of one element: 4 to 64.
[[nodiscard]] ATTNLAB_API int dtype_bits(DType dtype) noexcept;

/// Weights that are stored as blocks of codes: of 32 (q8_0, q4_0) or 256 elements of a row, as GGUF has them.
enum class BlockType { none, q8_0, q4_0, q4_k, q6_k };

/// Where the elements of a tensor [rows, width] stand in another one: row r begins at element first + (r / block) *
/// block_stride + (r % block) * row_stride, and its elements are column_stride apart.
struct ElementView {
  std::int64_t first = 0;
  std::int64_t row_stride = 1;
  std::int64_t column_stride = 1;
  std::int64_t block = 0;  // rows; 0: all of them
  std::int64_t block_stride = 0;
  float added = 0;  // to every element

  [[nodiscard]] std::int64_t row(std::int64_t row) const noexcept {
    return block == 0 ? first + row * row_stride : first + row / block * block_stride + row % block * row_stride;
  }
};

/// One tensor of an open file. Its sizes were checked against the file, so they can be trusted.
struct TensorInfo {
  std::string name;
  DType dtype;                      // of blocks: f32, as which they are read
  std::vector<std::int64_t> shape;  // empty: one element
  std::size_t offset;               // bytes from the start of the file
  std::size_t bytes;
  BlockType block = BlockType::none;
  /// > 0: the rows are this many heads of d rows, and what is row m of a head, m < d / 2, is stored as its row 2 m, and
  /// row m + d / 2 as row 2 m + 1.
  int interleaved_heads = 0;
  std::optional<ElementView> view;  // the shape is that of the view, and bytes are those of the stored tensor

  /// Product of the shape. Never overflows: the header was checked.
  [[nodiscard]] ATTNLAB_API std::int64_t elements() const noexcept;
};

/// One file, mapped read-only for the life of the object. Readable from many threads at once.
class ATTNLAB_API SafetensorsFile {
 public:
  /// Maps the file and checks its whole header. Error (where = the path, what names the tensor) for anything the
  /// format forbids.
  [[nodiscard]] static SafetensorsFile open(const std::filesystem::path& path);

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return file_.path(); }
  [[nodiscard]] const MappedFile& file() const noexcept { return file_; }
  /// In the order of their data. The addresses of the elements outlive a move of the file.
  [[nodiscard]] const std::vector<TensorInfo>& tensors() const noexcept { return tensors_; }
  /// The header's `__metadata__`.
  [[nodiscard]] const std::map<std::string, std::string>& metadata() const noexcept { return metadata_; }
  /// Null if there is no such tensor.
  [[nodiscard]] const TensorInfo* find(std::string_view name) const noexcept;
  /// The tensor's data, little-endian, row-major; may be unaligned. `tensor` is one of tensors().
  [[nodiscard]] std::span<const std::byte> bytes(const TensorInfo& tensor) const noexcept;

 private:
  explicit SafetensorsFile(MappedFile file) : file_(std::move(file)) {}

  MappedFile file_;
  std::vector<TensorInfo> tensors_;
  std::map<std::string, std::string> metadata_;
  std::vector<std::uint32_t> by_name_;  // indices into tensors_, sorted by name
};

/// A tensor to write. The bytes are borrowed until write_safetensors returns.
struct OutputTensor {
  std::string name;
  DType dtype;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;
};

/// Writes a whole file or none: to a temporary beside it, synced, then renamed over `path`. Data begin at a multiple
/// of 64 bytes and wider types come first, so every tensor is aligned for its type. Names must be unique and bytes
/// must fit the shape (checked: a programmer's mistake). Error (where = path) if it cannot be written.
ATTNLAB_API void write_safetensors(const std::filesystem::path& path, std::span<const OutputTensor> tensors);

/// Removes what writers of processes that are gone, killed while they wrote, left in a folder.
ATTNLAB_API void remove_unfinished_files(const std::filesystem::path& folder);

}  // namespace attnlab::model
