// States as bytes: what a cache writes of a sequence, and reads again in the same order. For the same build on the same
// kind of machine; not a file format.
#pragma once

#include <cstddef>
#include <span>
#include <type_traits>
#include <vector>

#include <attnlab/api.h>

namespace attnlab {

class ATTNLAB_API StateWriter {
 public:
  template <class T>
  requires std::is_trivially_copyable_v<T>
  void put(const T& value) { put_bytes(std::as_bytes(std::span(&value, 1))); }
  /// The count, then the elements.
  template <class T>
  requires std::is_trivially_copyable_v<T>
  void put_all(std::span<const T> values) {
    put(values.size());
    put_bytes(std::as_bytes(values));
  }
  template <class T>
  void put_all(const std::vector<T>& values) {
    put_all(std::span<const T>(values));
  }
  void put_bytes(std::span<const std::byte> bytes);
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

/// An Error where more is read than was written, or a count is not the one that is there.
class ATTNLAB_API StateReader {
 public:
  explicit StateReader(std::span<const std::byte> bytes) : bytes_(bytes) {}
  template <class T>
  requires std::is_trivially_copyable_v<T>
  [[nodiscard]] T get() {
    T value;
    get_bytes(std::as_writable_bytes(std::span(&value, 1)));
    return value;
  }
  /// What put_all wrote.
  template <class T>
  requires std::is_trivially_copyable_v<T>
  void get_all(std::vector<T>& values) {
    values.resize(count(sizeof(T)));
    get_bytes(std::as_writable_bytes(std::span(values)));
  }
  void get_bytes(std::span<std::byte> to);
  [[nodiscard]] bool is_at_end() const noexcept { return bytes_.empty(); }

 private:
  [[nodiscard]] std::size_t count(std::size_t element_bytes);

  std::span<const std::byte> bytes_;
};

}  // namespace attnlab
