// Components as floats of 8 bits, each by itself and without a scale: e4m3 (e4m3fn: no infinity) or e5m2, rounded to
// the nearest value, ties to the even code, and cut off at the largest value of the format. Micikevicius et al. 2022.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include <attnlab/plugin.h>

namespace {

enum class Format : std::uint8_t { e4m3, e5m2 };

}  // namespace

template <>
inline constexpr std::array<attnlab::Choice<Format>, 2> attnlab::kChoices<Format>{
    {{"e4m3", Format::e4m3}, {"e5m2", Format::e5m2}}};

namespace {

struct Fp8Options {
  Format format = Format::e4m3;

  static constexpr auto fields() {
    return std::tuple{attnlab::field("format", &Fp8Options::format,
                                     {.doc = "e4m3: up to 448, 3 bits of a significand; e5m2: up to 57344, 2 bits."})};
  }
};

constexpr std::uint8_t kNan = 0x7f;  // in both formats

struct Layout {
  int mantissa_bits, bias;
  std::uint8_t largest;  // code of the largest value
};
constexpr Layout layout_of(Format format) {
  return format == Format::e4m3 ? Layout{3, 7, 0x7e} : Layout{2, 15, 0x7b};
}

float value_of(const Layout& layout, std::uint8_t code) {
  const int mantissa = code & ((1 << layout.mantissa_bits) - 1), exponent = (code & 0x7f) >> layout.mantissa_bits;
  const float sign = code >= 0x80 ? -1.0F : 1.0F;
  if ((code & 0x7f) > layout.largest) return std::numeric_limits<float>::quiet_NaN();
  const int scale = std::max(exponent, 1) - layout.bias - layout.mantissa_bits;
  const int significand = exponent == 0 ? mantissa : mantissa + (1 << layout.mantissa_bits);
  return sign * std::ldexp(static_cast<float>(significand), scale);
}

std::uint8_t code_of(const Layout& layout, float number) {
  const auto bits = std::bit_cast<std::uint32_t>(number);
  const auto sign = static_cast<std::uint8_t>(bits >> 31 << 7);
  if (!std::isfinite(number)) return sign | kNan;
  const float size = std::abs(number);
  if (size < std::ldexp(1.0F, 1 - layout.bias)) {  // steps of the smallest value; one more is the smallest normal one
    const float steps = std::nearbyint(std::ldexp(size, layout.bias - 1 + layout.mantissa_bits));
    return sign | static_cast<std::uint8_t>(steps);
  }
  const int dropped = 23 - layout.mantissa_bits;
  const std::uint32_t magnitude = bits & 0x7fffffffU, is_odd = magnitude >> dropped & 1U;
  const std::uint32_t rounded = (magnitude + (1U << (dropped - 1)) - 1 + is_odd) >> dropped;
  const std::uint32_t code = rounded - (static_cast<std::uint32_t>(127 - layout.bias) << layout.mantissa_bits);
  return sign | static_cast<std::uint8_t>(std::min<std::uint32_t>(code, layout.largest));
}

class Fp8Codec final : public attnlab::RowCodec, public attnlab::ChannelDecoder {
 public:
  Fp8Codec(Format format, int width) : layout_(layout_of(format)), width_(width) {
    for (int code = 0; code < 256; ++code) values_[code] = value_of(layout_, static_cast<std::uint8_t>(code));
  }
  attnlab::RowLayout layout() const noexcept override { return {.units = width_}; }
  void encode(const float* numbers, float*, std::byte* units) const noexcept override {
    for (int i = 0; i < width_; ++i) units[i] = static_cast<std::byte>(code_of(layout_, numbers[i]));
  }
  void decode(const attnlab::HeldRows& rows, float* to, std::int64_t stride) const noexcept override {
    read(rows.units, rows.rows, width_, rows.stride, to, stride);
  }
  const attnlab::ChannelDecoder* channels() const noexcept override { return this; }
  void decode_channels(const attnlab::HeldRows& rows, float* to, std::int64_t stride) const noexcept override {
    read(rows.units, width_, rows.rows, rows.stride, to, stride);
  }
  float largest_error(std::span<const float> numbers) const noexcept override {
    float largest = 0;
    for (const float x : numbers) largest = std::max(largest, std::abs(x));
    const float half = std::ldexp(std::max(largest, std::ldexp(1.0F, 1 - layout_.bias)), -layout_.mantissa_bits - 1);
    return std::max(half, largest - values_[layout_.largest]);
  }

 private:
  // [lines, count] codes, lines `from` bytes apart, to numbers `to_stride` apart.
  void read(const std::byte* units, int lines, int count, std::int64_t from, float* to,
            std::int64_t to_stride) const noexcept {
    for (int line = 0; line < lines; ++line)
      for (int i = 0; i < count; ++i) to[line * to_stride + i] = values_[std::to_integer<int>(units[line * from + i])];
  }

  Layout layout_;
  int width_;
  std::array<float, 256> values_;
};

class Fp8 final : public attnlab::Storage {
 public:
  Fp8(const Fp8Options& options, const attnlab::CreateContext&) : options_(options) {}
  static attnlab::Traits traits(const Fp8Options&) {
    return {.provides = {attnlab::Feature::rounded_rows, attnlab::Feature::fixed_rows}};
  }
  attnlab::SideCodec codec(attnlab::RowSide, int width) const override {
    return {.rows = std::make_unique<Fp8Codec>(options_.format, width)};
  }

 private:
  Fp8Options options_;
};

constexpr attnlab::Component<attnlab::Storage> kStorage[] = {attnlab::component<attnlab::Storage, Fp8, Fp8Options>(
    {.id = "fp8", .summary = "Components as floats of 8 bits, without scales.", .reference = "arXiv:2209.05433"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "fp8", .version = "1.0", .storage = kStorage);
