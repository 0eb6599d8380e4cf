// Components rounded to the nearest bfloat16, ties to even: the exponent of a float and 8 bits of its significand. The
// core multiplies with them as they are.
#include <algorithm>
#include <cmath>

#include <attnlab/codes.h>
#include <attnlab/plugin.h>

namespace {

class Bf16Codec final : public attnlab::RowCodec {
 public:
  explicit Bf16Codec(int width) : width_(width) {}
  attnlab::RowLayout layout() const noexcept override {
    return {.units = width_, .unit_bytes = 2, .meaning = attnlab::RowLayout::Units::bf16};
  }
  void encode(const float* numbers, float*, std::byte* units) const noexcept override {
    attnlab::round_to_bf16(numbers, width_, reinterpret_cast<std::uint16_t*>(units));
  }
  void decode(const attnlab::HeldRows& rows, float* to, std::int64_t stride) const noexcept override {
    attnlab::expand_bf16(reinterpret_cast<const std::uint16_t*>(rows.units),
                         {rows.rows, width_, rows.stride / 2, to, stride});
  }
  float largest_error(std::span<const float> numbers) const noexcept override {
    float largest = 0;
    for (const float x : numbers) largest = std::max(largest, std::abs(x));
    return largest * 0x1p-8F + 0x1p-134F;  // half a unit in the last place, also of the smallest numbers
  }

 private:
  int width_;
};

class Bf16 final : public attnlab::Storage {
 public:
  Bf16(const attnlab::NoOptions&, const attnlab::CreateContext&) {}
  static attnlab::Traits traits(const attnlab::NoOptions&) {
    return {.provides = {attnlab::Feature::rounded_rows, attnlab::Feature::fixed_rows}};
  }
  attnlab::SideCodec codec(attnlab::RowSide, int width) const override {
    return {.rows = std::make_unique<Bf16Codec>(width)};
  }
};

constexpr attnlab::Component<attnlab::Storage> kStorage[] = {attnlab::component<attnlab::Storage, Bf16>(
    {.id = "bf16", .summary = "Components rounded to bfloat16: 2 bytes each.", .reference = "arXiv:1905.12322"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "bf16", .version = "1.0", .storage = kStorage);
