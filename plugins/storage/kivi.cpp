// KIVI (Liu et al. 2024): the newest rows as they are, older ones as codes of 2 or 4 bits, keys per channel over groups
// of tokens (outliers of keys sit in few channels), values per token over groups of channels.
#include <algorithm>
#include <cmath>
#include <vector>

#include <attnlab/codes.h>
#include <attnlab/plugin.h>

namespace {

enum class Bits : std::uint8_t { two = 2, four = 4 };

}  // namespace

template <>
inline constexpr std::array<attnlab::Choice<Bits>, 2> attnlab::kChoices<Bits>{{{"2", Bits::two}, {"4", Bits::four}}};

namespace {

struct KiviOptions {
  Bits bits = Bits::two;
  std::int32_t group = 32, residual = 128;

  static constexpr auto fields() {
    using K = KiviOptions;
    return std::tuple{
        attnlab::field("bits", &K::bits, {.doc = "Bits of a code."}),
        attnlab::field("group", &K::group, {.min = 1, .max = 65'536, .doc = "Rows or components that share a scale."}),
        attnlab::field("residual", &K::residual,
                       {.min = 0, .max = 1 << 30, .doc = "Newest rows that are kept exactly."})};
  }
};

// A vector as codes, with a scale and a minimum for every `group` components.
struct Affine {
  int bits, group, width;
  [[nodiscard]] int groups() const noexcept { return (width + group - 1) / group; }
  [[nodiscard]] int bytes() const noexcept { return attnlab::packed_bytes(width, bits); }
  [[nodiscard]] int levels() const noexcept { return (1 << bits) - 1; }

  // parameters: the scales, then the minima, `stride` apart.
  void encode(const float* numbers, float* parameters, std::int64_t stride, std::byte* units) const noexcept {
    thread_local std::vector<std::uint8_t> codes;
    codes.resize(width);
    for (int index = 0; index < groups(); ++index) {
      const int first = index * group;
      const int count = std::min(group, width - first);
      const attnlab::AffineRange range = attnlab::affine_range(numbers + first, count, levels());
      attnlab::affine_codes(numbers + first, count, range, levels(), codes.data() + first);
      parameters[index * stride] = range.scale;
      parameters[(groups() + index) * stride] = range.minimum;
    }
    attnlab::pack_codes(codes.data(), width, bits);
    std::copy_n(codes.data(), bytes(), reinterpret_cast<std::uint8_t*>(units));
  }
  [[nodiscard]] float largest_error(const float* numbers) const noexcept {
    float largest = 0;
    for (int first = 0; first < width; first += group) {
      const attnlab::AffineRange range =
          attnlab::affine_range(numbers + first, std::min(group, width - first), levels());
      const float end = std::max(std::abs(range.minimum), std::abs(range.minimum + levels() * range.scale));
      largest = std::max(largest, range.scale / 2 + 1e-6F * end);  // rounded where the minimum is added, too
    }
    return largest + 0x1p-140F;
  }
};

class ValueCodec final : public attnlab::RowCodec {
 public:
  explicit ValueCodec(const Affine& row) : row_(row) {}
  attnlab::RowLayout layout() const noexcept override {
    return {.parameters = 2 * row_.groups(), .units = row_.bytes()};
  }
  void encode(const float* numbers, float* parameters, std::byte* units) const noexcept override {
    row_.encode(numbers, parameters, 1, units);
  }
  void decode(const attnlab::HeldRows& rows, float* to, std::int64_t stride) const noexcept override {
    const float* minima = rows.parameters + row_.groups() * rows.parameter_stride;
    attnlab::affine_lines(reinterpret_cast<const std::uint8_t*>(rows.units), row_.bits, 0,
                          {rows.parameters, minima, rows.parameter_stride, row_.group},
                          {rows.rows, row_.width, rows.stride, to, stride});
  }
  float largest_error(std::span<const float> numbers) const noexcept override {
    return row_.largest_error(numbers.data());
  }

 private:
  Affine row_;
};

// A group: the scale of every channel, then the minima, then the codes channel by channel.
class KeyCodec final : public attnlab::GroupCodec {
 public:
  KeyCodec(const KiviOptions& options, int width)
      : channel_{static_cast<int>(options.bits), options.group, options.group}, channels_(width) {}
  int rows() const noexcept override { return channel_.group; }
  std::size_t bytes() const noexcept override {
    return static_cast<std::size_t>(channels_) * (2 * sizeof(float) + channel_.bytes());
  }
  void encode(const float* channels, std::byte* group) const noexcept override {
    auto* scales = reinterpret_cast<float*>(group);
    for (int i = 0; i < channels_; ++i)
      channel_.encode(channels + std::int64_t{i} * channel_.group, scales + i, channels_,
                      group + (2 * sizeof(float) * channels_ + static_cast<std::size_t>(i) * channel_.bytes()));
  }
  void decode(const std::byte* group, int first, int count, float* to, std::int64_t stride) const noexcept override {
    const auto* scales = reinterpret_cast<const float*>(group);
    attnlab::affine_lines(reinterpret_cast<const std::uint8_t*>(scales + 2 * channels_), channel_.bits, first,
                          {scales, scales + channels_, channels_, channel_.group},
                          {channels_, count, channel_.bytes(), to, stride});
  }
  float largest_error(std::span<const float> channels) const noexcept override {
    float largest = 0;
    for (int i = 0; i < channels_; ++i)
      largest = std::max(largest, channel_.largest_error(channels.data() + std::int64_t{i} * channel_.group));
    return largest;
  }

 private:
  Affine channel_;
  int channels_;
};

class Kivi final : public attnlab::Storage {
 public:
  Kivi(const KiviOptions& options, const attnlab::CreateContext&) : options_(options) {}
  static attnlab::Traits traits(const KiviOptions&) {
    using enum attnlab::Feature;
    return {.provides = {whole_groups, rounded_rows, fixed_rows}, .excludes = {token_eviction}};
  }
  attnlab::SideCodec codec(attnlab::RowSide side, int width) const override {
    if (side == attnlab::RowSide::keys) return {.groups = std::make_unique<KeyCodec>(options_, width)};
    return {.rows = std::make_unique<ValueCodec>(Affine{static_cast<int>(options_.bits), options_.group, width})};
  }
  std::optional<int> residual() const noexcept override { return options_.residual; }

 private:
  KiviOptions options_;
};

constexpr attnlab::Component<attnlab::Storage> kStorage[] = {attnlab::component<attnlab::Storage, Kivi, KiviOptions>(
    {.id = "kivi",
     .summary = "Keys as codes by component over groups of rows, values by row; the newest rows exact.",
     .reference = "arXiv:2402.02750"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "kivi", .version = "1.0", .storage = kStorage);
