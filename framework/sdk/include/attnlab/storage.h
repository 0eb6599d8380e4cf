// How cached rows are held: a storage creates a codec for keys and one for values, and the host does the rest (pages,
// positions, dropping, forking and saving rows). A codec is called for rows or tiles of rows, never for single numbers.
// Not here: which rows stay in the cache (cache_policy.h), and the kernels that codecs are made of (codes.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include <attnlab/api.h>

namespace attnlab {

/// How a row of numbers is stored: `parameters` floats (scales, minima), and `units` of `unit_bytes` (1, 2 or 4).
struct RowLayout {
  enum class Units : std::uint8_t {
    own,          // only the codec can interpret them
    floats,       // the numbers themselves, unit_bytes 4: read in place and never decoded
    scaled_int8,  // number = unit * the row's one parameter: the core may multiply with the units directly
    bf16,         // the numbers in bfloat16, unit_bytes 2: as scaled_int8
    affine_int4,  // number = code * scale + minimum, two codes a unit, the even component's in its low half; parameters
                  // are the scales of the groups, then their minima: as scaled_int8 where groups divide the width
  };
  int parameters = 0;
  int units = 0;
  int unit_bytes = 1;
  Units meaning = Units::own;
  int group = 0;  // components of a group, of affine_int4 alone: a multiple of 32

  /// Of one row.
  [[nodiscard]] constexpr std::size_t bytes() const noexcept {
    return static_cast<std::size_t>(parameters) * sizeof(float) + static_cast<std::size_t>(units) * unit_bytes;
  }
};

/// Stored rows as a codec reads them. Rows are stored one after the other, or channel by channel (unit u of all rows
/// side by side) where the codec has a ChannelDecoder; parameters are always stored parameter by parameter.
struct HeldRows {
  const std::byte* units;   // of the first row
  std::int64_t stride;      // bytes from row to row; channel by channel: from unit to unit, a row at unit_bytes
  const float* parameters;  // parameter p of row r at p * parameter_stride + r
  std::int64_t parameter_stride;
  int rows;
};

/// Reads rows that are stored channel by channel, as the core multiplies keys: tiles need not be transposed.
class ATTNLAB_API ChannelDecoder {
 public:
  virtual ~ChannelDecoder();
  /// To [width, stride]: number c of row r at c * stride + r. From any thread.
  virtual void decode_channels(const HeldRows& rows, float* to, std::int64_t stride) const noexcept = 0;
};

/// Rows of `width` numbers, each held for itself.
class ATTNLAB_API RowCodec {
 public:
  virtual ~RowCodec();
  [[nodiscard]] virtual RowLayout layout() const noexcept = 0;
  /// numbers [width] -> parameters [layout.parameters], units [layout.units * unit_bytes], all of which are written. If
  /// a number is not finite, reading the row must give a number that is not finite. From any thread.
  virtual void encode(const float* numbers, float* parameters, std::byte* units) const noexcept = 0;
  /// Decodes rows that are stored one after the other, to [rows, stride]. From any thread; the bits must not depend on
  /// how a range of rows is split into calls.
  virtual void decode(const HeldRows& rows, float* to, std::int64_t stride) const noexcept = 0;
  /// Null: keys of units that only the codec can interpret, and of affine_int4, are stored row by row, and the core
  /// transposes each tile.
  [[nodiscard]] virtual const ChannelDecoder* channels() const noexcept { return nullptr; }
  /// Largest difference between a number of this row as it was given and as it is read. 0: exact.
  [[nodiscard]] virtual float largest_error(std::span<const float> numbers) const noexcept = 0;
};

/// Rows that become codes together, because they share scales: a group of `rows()` of them, of `width` numbers.
class ATTNLAB_API GroupCodec {
 public:
  virtual ~GroupCodec();
  [[nodiscard]] virtual int rows() const noexcept = 0;
  /// Of a group.
  [[nodiscard]] virtual std::size_t bytes() const noexcept = 0;
  /// channels [width, rows()] -> group [bytes()], which is aligned to 4 bytes. From any thread.
  virtual void encode(const float* channels, std::byte* group) const noexcept = 0;
  /// Rows first .. first + count of the group, to [width, stride]. From any thread.
  virtual void decode(const std::byte* group, int first, int count, float* to, std::int64_t stride) const noexcept = 0;
  /// Largest difference between a number of the group as it was given and as it is read; channels as for encode.
  [[nodiscard]] virtual float largest_error(std::span<const float> channels) const noexcept = 0;
};

/// One of the two.
struct SideCodec {
  std::unique_ptr<RowCodec> rows = nullptr;
  std::unique_ptr<GroupCodec> groups = nullptr;
};

enum class RowSide : std::uint8_t { keys, values };

/// One storage with its options. Keys and values have separate codecs, and one storage may hold keys while another
/// holds values. Its traits (features.h) decide what it can be combined with: `rounded_rows` if rows may be read back
/// changed, `fixed_rows` if a stored row cannot be replaced, `whole_groups` if single rows cannot be dropped.
class ATTNLAB_API Storage {
 public:
  virtual ~Storage();
  /// An Error where rows of this width cannot be held.
  [[nodiscard]] virtual SideCodec codec(RowSide side, int width) const = 0;
  /// The number of a kv head's newest rows that stay exact. Older rows become codes after the prompt and after each
  /// step, every row once, in order, and groups when they are complete and old enough. Such a storage provides
  /// `whole_groups`. None, the default: rows become codes when they are appended, which is not possible for groups.
  [[nodiscard]] virtual std::optional<int> residual() const noexcept { return std::nullopt; }
};

}  // namespace attnlab
