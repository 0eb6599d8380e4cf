// minifloat: every number as one byte, a sign and a small float of 7 bits, relative to the largest number of its row.
// With 3 bits of mantissa that is FP8 E4M3 with a scale for each row (Micikevicius et al. 2022); fewer bits reach
// further down, more bits are finer near the largest. Differs from the standard: no code is spent on NaN.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include <attnlab/plugin.h>

namespace {
using namespace attnlab;

constexpr int kCodes = 128;  // without the sign

struct Options {
  std::int32_t mantissa = 3;
  static constexpr auto fields() {
    return std::tuple{
        field("mantissa", &Options::mantissa, {.min = 1, .max = 6, .doc = "Bits after the leading one."})};
  }
};

class Codec final : public RowCodec {
 public:
  Codec(int mantissa, int width) : width_(width) {
    const int steps = 1 << mantissa;  // of a power of two
    for (int code = 0; code < kCodes; ++code) {
      const bool is_normal = code >= steps;
      const int exponent = is_normal ? code / steps : 1;
      shares_[code] = std::ldexp(static_cast<float>((is_normal ? steps : 0) + code % steps), exponent);
    }
    for (float& share : shares_) share /= shares_.back();
  }

  RowLayout layout() const noexcept override { return {.parameters = 1, .units = width_}; }
  void encode(const float* numbers, float* largest, std::byte* units) const noexcept override {
    *largest = largest_of({numbers, static_cast<std::size_t>(width_)});
    for (int i = 0; i < width_; ++i) {
      const int code = *largest > 0 ? nearest(std::abs(numbers[i]) / *largest) : 0;
      units[i] = static_cast<std::byte>(std::signbit(numbers[i]) ? kCodes + code : code);
    }
  }
  void decode(const HeldRows& rows, float* to, std::int64_t stride) const noexcept override {
    for (int row = 0; row < rows.rows; ++row)
      for (int i = 0; i < width_; ++i) {
        const int unit = std::to_integer<int>(rows.units[row * rows.stride + i]);
        const float size = rows.parameters[row] * shares_[unit % kCodes];
        to[row * stride + i] = unit < kCodes ? size : -size;
      }
  }
  // Half of the widest step, which is the last; and the rounding of the division and the product.
  float largest_error(std::span<const float> numbers) const noexcept override {
    const float step = shares_[kCodes - 1] - shares_[kCodes - 2];
    return largest_of(numbers) * (step / 2 + 1e-6F) + std::numeric_limits<float>::denorm_min();
  }

 private:
  static float largest_of(std::span<const float> numbers) noexcept {  // NaN if one is not finite: it shows when read
    float largest = 0;
    for (const float x : numbers) {
      if (!std::isfinite(x)) return std::numeric_limits<float>::quiet_NaN();
      largest = std::max(largest, std::abs(x));
    }
    return largest;
  }
  int nearest(float share) const noexcept {
    const auto above = std::ranges::lower_bound(shares_, share);
    if (above == shares_.begin()) return 0;
    if (above == shares_.end()) return kCodes - 1;
    const auto code = static_cast<int>(above - shares_.begin());
    return *above - share < share - shares_[code - 1] ? code : code - 1;
  }

  int width_;
  std::array<float, kCodes> shares_;  // of the row's largest number, ascending from 0 to 1
};

class Minifloat final : public Storage {
 public:
  Minifloat(const Options& options, const CreateContext&) : options_(options) {}
  static Traits traits(const Options&) { return {.provides = {Feature::rounded_rows, Feature::fixed_rows}}; }
  SideCodec codec(RowSide, int width) const override {
    return {.rows = std::make_unique<Codec>(options_.mantissa, width)};
  }

 private:
  Options options_;
};

constexpr Component<Storage> kStorage[] = {component<Storage, Minifloat, Options>(
    {.id = "minifloat",
     .summary = "Small floats relative to the largest number of a row: 1 byte a component.",
     .reference = "arXiv:2209.05433"})};
}  // namespace

ATTNLAB_PLUGIN(.name = "minifloat", .version = "1.0", .storage = kStorage);
