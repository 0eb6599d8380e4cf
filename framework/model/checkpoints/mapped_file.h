// A file of weights, mapped read-only: it costs the pages that are being read, and no more.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

#include <attnlab/api.h>

namespace attnlab::model {

class ATTNLAB_API MappedFile {
 public:
  /// `kind`: what the file should be, for messages: "safetensors". Error (where = the path) if it cannot be opened or
  /// mapped, is no regular file, or has no bytes.
  [[nodiscard]] static MappedFile open(const std::filesystem::path& path, std::string_view kind);

  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return {mapping_, bytes_}; }
  /// Lets go of the whole pages in a range: what was packed need not stay resident as well. Reading it again is legal
  /// and comes from the file.
  void release(std::size_t offset, std::size_t count) const noexcept;

 private:
  MappedFile() = default;

  std::filesystem::path path_;
  std::byte* mapping_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace attnlab::model
