// States as bytes: a cache writes the state of a sequence and reads it back in the same order. A state is valid for the
// same build on the same kind of machine; it is not a file format.
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

/// Throws an Error if more is read than was written, or if a count differs from the written one.
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
