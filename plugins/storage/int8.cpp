// 8-bit codes with one scale for each vector: code * max|x| / 127. The core multiplies with the codes directly.
#include <attnlab/codes.h>
#include <attnlab/plugin.h>

namespace {

class Int8Codec final : public attnlab::RowCodec {
 public:
  explicit Int8Codec(int width) : width_(width) {}
  attnlab::RowLayout layout() const noexcept override {
    return {.parameters = 1, .units = width_, .meaning = attnlab::RowLayout::Units::scaled_int8};
  }
  void encode(const float* numbers, float* scale, std::byte* units) const noexcept override {
    *scale = attnlab::symmetric_scale(numbers, width_);
    attnlab::symmetric_codes(numbers, width_, *scale, reinterpret_cast<std::int8_t*>(units));
  }
  void decode(const attnlab::HeldRows& rows, float* to, std::int64_t stride) const noexcept override {
    attnlab::scale_lines(reinterpret_cast<const std::int8_t*>(rows.units), rows.parameters,
                         {rows.rows, width_, rows.stride, to, stride});
  }
  float largest_error(std::span<const float> numbers) const noexcept override {
    return 0.50001F * attnlab::symmetric_scale(numbers.data(), width_) + 0x1p-140F;
  }

 private:
  int width_;
};

class Int8 final : public attnlab::Storage {
 public:
  Int8(const attnlab::NoOptions&, const attnlab::CreateContext&) {}
  static attnlab::Traits traits(const attnlab::NoOptions&) {
    return {.provides = {attnlab::Feature::rounded_rows, attnlab::Feature::fixed_rows}};
  }
  attnlab::SideCodec codec(attnlab::RowSide, int width) const override {
    return {.rows = std::make_unique<Int8Codec>(width)};
  }
};

constexpr attnlab::Component<attnlab::Storage> kStorage[] = {attnlab::component<attnlab::Storage, Int8>(
    {.id = "int8",
     .summary = "8-bit codes with a scale for each vector: 1 byte a component.",
     .reference = "arXiv:2208.07339"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "int8", .version = "1.0", .storage = kStorage);
