// What the storages that break a law share: rows in f32 through a codec of their own, with one thing wrong.
#pragma once

#include <algorithm>

#include "plugins/broken/law_parts.h"

namespace attnlab::broken {

class PlainCodec : public RowCodec {
 public:
  explicit PlainCodec(int width) : width_(width) {}
  RowLayout layout() const noexcept override { return {.units = width_, .unit_bytes = 4}; }
  void encode(const float* numbers, float*, std::byte* units) const noexcept override {
    std::copy_n(numbers, width_, reinterpret_cast<float*>(units));
  }
  void decode(const HeldRows& rows, float* to, std::int64_t stride) const noexcept override {
    for (int row = 0; row < rows.rows; ++row)
      std::copy_n(reinterpret_cast<const float*>(rows.units + row * rows.stride), width_, to + row * stride);
  }
  float largest_error(std::span<const float>) const noexcept override { return 0; }
  static Traits traits() { return {}; }

 protected:
  int width_;
};

template <class Codec>
class StorageOf final : public Storage {
 public:
  StorageOf(const NoOptions&, const CreateContext&) {}
  static Traits traits(const NoOptions&) { return Codec::traits(); }
  SideCodec codec(RowSide, int width) const override { return {.rows = std::make_unique<Codec>(width)}; }
};

}  // namespace attnlab::broken
