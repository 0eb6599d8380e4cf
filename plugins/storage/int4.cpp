// 4-bit codes with a scale and a minimum for every 32 components of a vector: code * (max - min) / 15 + min. The
// core multiplies with the codes directly.
#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include <attnlab/codes.h>
#include <attnlab/plugin.h>

namespace {

constexpr int kBits = 4;
constexpr int kLevels = 15;
constexpr int kGroup = 32;

class Int4Codec final : public attnlab::RowCodec, public attnlab::ChannelDecoder {
 public:
  explicit Int4Codec(int width) : width_(width), groups_((width + kGroup - 1) / kGroup) {}
  attnlab::RowLayout layout() const noexcept override {
    return {.parameters = 2 * groups_,
            .units = attnlab::packed_bytes(width_, kBits),
            .meaning = attnlab::RowLayout::Units::affine_int4,
            .group = kGroup};
  }
  void encode(const float* numbers, float* parameters, std::byte* units) const noexcept override {
    auto* packed = reinterpret_cast<std::uint8_t*>(units);
    for (int group = 0; group < groups_; ++group) {
      const float* from = numbers + group * kGroup;
      const int count = std::min(kGroup, width_ - group * kGroup);
      const attnlab::AffineRange range = attnlab::affine_range(from, count, kLevels);
      std::array<std::uint8_t, kGroup> codes;
      attnlab::affine_codes(from, count, range, kLevels, codes.data());
      attnlab::pack_codes(codes.data(), count, kBits);  // groups are whole bytes
      std::copy_n(codes.data(), attnlab::packed_bytes(count, kBits), packed + group * kGroup / 2);
      parameters[group] = range.scale;
      parameters[groups_ + group] = range.minimum;
    }
  }
  void decode(const attnlab::HeldRows& rows, float* to, std::int64_t stride) const noexcept override {
    attnlab::affine_lines(codes(rows), kBits, 0, ranges(rows), {rows.rows, width_, rows.stride, to, stride});
  }
  const attnlab::ChannelDecoder* channels() const noexcept override { return this; }
  void decode_channels(const attnlab::HeldRows& rows, float* to, std::int64_t stride) const noexcept override {
    attnlab::affine_columns(codes(rows), ranges(rows), {width_, rows.rows, rows.stride, to, stride});
  }
  float largest_error(std::span<const float> numbers) const noexcept override {
    float largest = 0;
    for (std::size_t first = 0; first < numbers.size(); first += kGroup) {
      const int count = static_cast<int>(std::min<std::size_t>(kGroup, numbers.size() - first));
      const attnlab::AffineRange range = attnlab::affine_range(numbers.data() + first, count, kLevels);
      const float end = std::max(std::abs(range.minimum), std::abs(range.minimum + kLevels * range.scale));
      largest = std::max(largest, range.scale / 2 + 1e-6F * end);  // rounded where the minimum is added, too
    }
    return largest + 0x1p-140F;
  }

 private:
  static const std::uint8_t* codes(const attnlab::HeldRows& rows) noexcept {
    return reinterpret_cast<const std::uint8_t*>(rows.units);
  }
  [[nodiscard]] attnlab::AffineParameters ranges(const attnlab::HeldRows& rows) const noexcept {
    return {rows.parameters, rows.parameters + groups_ * rows.parameter_stride, rows.parameter_stride, kGroup};
  }
  int width_;
  int groups_;
};

class Int4 final : public attnlab::Storage {
 public:
  Int4(const attnlab::NoOptions&, const attnlab::CreateContext&) {}
  static attnlab::Traits traits(const attnlab::NoOptions&) {
    return {.provides = {attnlab::Feature::rounded_rows, attnlab::Feature::fixed_rows}};
  }
  attnlab::SideCodec codec(attnlab::RowSide, int width) const override {
    return {.rows = std::make_unique<Int4Codec>(width)};
  }
};

constexpr attnlab::Component<attnlab::Storage> kStorage[] = {attnlab::component<attnlab::Storage, Int4>(
    {.id = "int4",
     .summary = "4-bit codes with a scale and a minimum for every 32 components.",
     .reference = "arXiv:2303.06865"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "int4", .version = "1.0", .storage = kStorage);
