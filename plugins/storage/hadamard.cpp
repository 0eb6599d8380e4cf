// Rows are multiplied by a Hadamard matrix before they become codes: outliers of single components are spread over all
// components, so that one scale fits all. As in QuaRot (Ashkboos et al. 2024), which leaves keys and queries
// transformed. Other differences from QuaRot: the range need not contain 0, the minimum is not rounded, and nothing is
// clipped.
#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

#include <attnlab/codes.h>
#include <attnlab/error.h>
#include <attnlab/plugin.h>

namespace {

struct HadamardOptions {
  std::int32_t bits = 4;
  std::int32_t group = 0;

  static constexpr auto fields() {
    using H = HadamardOptions;
    return std::tuple{
        attnlab::field("bits", &H::bits, {.min = 2, .max = 4, .doc = "Bits of a code."}),
        attnlab::field("group", &H::group,
                       {.min = 0, .max = 65'536, .doc = "Components that share a scale; 0: all of a row."})};
  }
};

class HadamardCodec final : public attnlab::RowCodec {
 public:
  HadamardCodec(const HadamardOptions& options, int width)
      : bits_(options.bits),
        levels_((1 << bits_) - 1),
        width_(width),
        group_(options.group > 0 ? std::min(options.group, width) : width),
        groups_((width + group_ - 1) / group_) {}

  attnlab::RowLayout layout() const noexcept override {
    return {.parameters = 2 * groups_, .units = attnlab::packed_bytes(width_, bits_)};
  }
  void encode(const float* numbers, float* parameters, std::byte* units) const noexcept override {
    thread_local std::vector<float> turned;
    thread_local std::vector<std::uint8_t> codes;
    turned.assign(numbers, numbers + width_);
    codes.resize(width_);
    turn(turned.data());
    for (int group = 0; group < groups_; ++group) {
      const int first = group * group_;
      const int count = std::min(group_, width_ - first);
      const attnlab::AffineRange range = attnlab::affine_range(turned.data() + first, count, levels_);
      attnlab::affine_codes(turned.data() + first, count, range, levels_, codes.data() + first);
      parameters[group] = range.scale;
      parameters[groups_ + group] = range.minimum;
    }
    attnlab::pack_codes(codes.data(), width_, bits_);
    std::copy_n(codes.data(), attnlab::packed_bytes(width_, bits_), reinterpret_cast<std::uint8_t*>(units));
  }
  void decode(const attnlab::HeldRows& rows, float* to, std::int64_t stride) const noexcept override {
    const float* minima = rows.parameters + groups_ * rows.parameter_stride;
    attnlab::affine_lines(reinterpret_cast<const std::uint8_t*>(rows.units), bits_, 0,
                          {rows.parameters, minima, rows.parameter_stride, group_},
                          {rows.rows, width_, rows.stride, to, stride});
    for (int row = 0; row < rows.rows; ++row) turn(to + row * stride);
  }
  // The matrix keeps lengths: no component is off by more than the length of all errors together.
  float largest_error(std::span<const float> numbers) const noexcept override {
    std::vector<float> turned(numbers.begin(), numbers.end());
    turn(turned.data());
    double square = 0, length = 0;
    for (int first = 0; first < width_; first += group_) {
      const int count = std::min(group_, width_ - first);
      const double half = attnlab::affine_range(turned.data() + first, count, levels_).scale / 2;
      square += half * half * count;
    }
    for (const float x : numbers) length += double{x} * x;
    return static_cast<float>(std::sqrt(square) + 1e-5 * std::sqrt(length));
  }

 private:
  // row [width] becomes H row / sqrt(width), H[a, b] = (-1)^popcount(a & b); its own inverse.
  void turn(float* row) const noexcept {
    for (int half = 1; half < width_; half *= 2)
      for (int first = 0; first < width_; first += 2 * half)
        for (int i = first; i < first + half; ++i) {
          const float sum = row[i] + row[i + half];
          row[i + half] = row[i] - row[i + half];
          row[i] = sum;
        }
    const float factor = 1 / std::sqrt(static_cast<float>(width_));
    for (int i = 0; i < width_; ++i) row[i] *= factor;
  }

  int bits_;
  int levels_;
  int width_;
  int group_;   // components that share a scale
  int groups_;  // of a row
};

class Hadamard final : public attnlab::Storage {
 public:
  Hadamard(const HadamardOptions& options, const attnlab::CreateContext&) : options_(options) {}
  static attnlab::Traits traits(const HadamardOptions&) {
    return {.provides = {attnlab::Feature::rounded_rows, attnlab::Feature::fixed_rows}};
  }
  attnlab::SideCodec codec(attnlab::RowSide, int width) const override {
    if (!std::has_single_bit(static_cast<unsigned>(width)))
      throw attnlab::Error("", "rows of " + std::to_string(width) + " components, which is no power of two",
                           "use a storage without a Hadamard matrix");
    return {.rows = std::make_unique<HadamardCodec>(options_, width)};
  }

 private:
  HadamardOptions options_;
};

constexpr attnlab::Component<attnlab::Storage> kStorage[] = {
    attnlab::component<attnlab::Storage, Hadamard, HadamardOptions>(
        {.id = "hadamard",
         .summary = "Codes of rows turned by a Hadamard matrix, which spreads outliers.",
         .reference = "arXiv:2404.00456"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "hadamard", .version = "1.0", .storage = kStorage);
