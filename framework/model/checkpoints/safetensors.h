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
#include <vector>

#include <attnlab/api.h>

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

/// One tensor of an open file. Its sizes were checked against the file, so they can be trusted.
struct TensorInfo {
  std::string name;
  DType dtype;
  std::vector<std::int64_t> shape;  // empty: one element
  std::size_t offset;               // bytes from the start of the file
  std::size_t bytes;

  /// Product of the shape. Never overflows: the header was checked.
  [[nodiscard]] ATTNLAB_API std::int64_t elements() const noexcept;
};

/// One file, mapped read-only for the life of the object. Readable from many threads at once.
class ATTNLAB_API SafetensorsFile {
 public:
  /// Maps the file and checks its whole header. Error (where = the path, what names the tensor) for anything the
  /// format forbids.
  [[nodiscard]] static SafetensorsFile open(const std::filesystem::path& path);

  SafetensorsFile(SafetensorsFile&& other) noexcept;
  SafetensorsFile& operator=(SafetensorsFile&& other) noexcept;
  SafetensorsFile(const SafetensorsFile&) = delete;
  SafetensorsFile& operator=(const SafetensorsFile&) = delete;
  ~SafetensorsFile();

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  /// In the order of their data. The addresses of the elements outlive a move of the file.
  [[nodiscard]] const std::vector<TensorInfo>& tensors() const noexcept { return tensors_; }
  /// The header's `__metadata__`.
  [[nodiscard]] const std::map<std::string, std::string>& metadata() const noexcept { return metadata_; }
  /// Null if there is no such tensor.
  [[nodiscard]] const TensorInfo* find(std::string_view name) const noexcept;
  /// The tensor's data, little-endian, row-major; may be unaligned. `tensor` is one of tensors().
  [[nodiscard]] std::span<const std::byte> bytes(const TensorInfo& tensor) const noexcept;
  /// Lets go of the whole pages inside the tensor: what was packed need not stay resident as well. Reading it again
  /// is legal and comes from the file.
  void release(const TensorInfo& tensor) const noexcept;

 private:
  SafetensorsFile() = default;

  std::filesystem::path path_;
  std::byte* mapping_ = nullptr;
  std::size_t mapped_bytes_ = 0;
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
