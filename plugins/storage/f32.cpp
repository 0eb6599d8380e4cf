// Rows as they are, in 32-bit floats: the reference of every other storage. The core reads tiles in place.
#include <algorithm>

#include <attnlab/plugin.h>

namespace {

class F32Codec final : public attnlab::RowCodec {
 public:
  explicit F32Codec(int width) : width_(width) {}
  attnlab::RowLayout layout() const noexcept override {
    return {.units = width_, .unit_bytes = sizeof(float), .meaning = attnlab::RowLayout::Units::floats};
  }
  void encode(const float* numbers, float*, std::byte* units) const noexcept override {
    std::copy_n(numbers, width_, reinterpret_cast<float*>(units));
  }
  void decode(const attnlab::HeldRows& rows, float* to, std::int64_t stride) const noexcept override {
    for (int row = 0; row < rows.rows; ++row)
      std::copy_n(reinterpret_cast<const float*>(rows.units + row * rows.stride), width_, to + row * stride);
  }
  float largest_error(std::span<const float>) const noexcept override { return 0; }

 private:
  int width_;
};

class F32 final : public attnlab::Storage {
 public:
  F32(const attnlab::NoOptions&, const attnlab::CreateContext&) {}
  static attnlab::Traits traits(const attnlab::NoOptions&) { return {}; }
  attnlab::SideCodec codec(attnlab::RowSide, int width) const override {
    return {.rows = std::make_unique<F32Codec>(width)};
  }
};

constexpr attnlab::Component<attnlab::Storage> kStorage[] = {attnlab::component<attnlab::Storage, F32>(
    {.id = "f32", .summary = "Rows as they are: 4 bytes a component.", .reference = "IEEE 754"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "f32", .version = "1.0", .storage = kStorage);
