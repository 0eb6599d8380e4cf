// How cached rows are held: a storage hands out a codec for keys and one for values, and the host does the rest (pages,
// positions, what is dropped, forked and saved). A codec is asked for rows or tiles of rows, never for single numbers.
// Not here: which rows live (cache_policy.h), and the kernels that codecs are made of (codes.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include <attnlab/api.h>

namespace attnlab {

/// What a row of numbers is held as: `parameters` floats (scales, minima), and `units` of `unit_bytes` (1, 2 or 4).
struct RowLayout {
  enum class Units : std::uint8_t {
    own,          // the codec alone knows what they mean
    floats,       // the numbers themselves, unit_bytes 4: read in place and never decoded
    scaled_int8,  // number = unit * the row's one parameter: the core may multiply with the units as they lie
  };
  int parameters = 0;
  int units = 0;
  int unit_bytes = 1;
  Units meaning = Units::own;

  /// Of one row.
  [[nodiscard]] constexpr std::size_t bytes() const noexcept {
    return static_cast<std::size_t>(parameters) * sizeof(float) + static_cast<std::size_t>(units) * unit_bytes;
  }
};

/// Held rows as a codec finds them when they are read. Rows lie one after the other, or channel by channel (unit u of
/// all rows side by side) where the codec has a ChannelDecoder; parameters always lie parameter by parameter.
struct HeldRows {
  const std::byte* units;   // of the first row
  std::int64_t stride;      // bytes from row to row; channel by channel: from unit to unit, a row at unit_bytes
  const float* parameters;  // parameter p of row r at p * parameter_stride + r
  std::int64_t parameter_stride;
  int rows;
};

/// Reads rows that lie channel by channel, which is how the core multiplies keys: saves turning each tile.
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
  /// numbers [width] -> parameters [layout.parameters], units [layout.units * unit_bytes], all of which are written. A
  /// number that is not finite must show when the row is read. From any thread.
  virtual void encode(const float* numbers, float* parameters, std::byte* units) const noexcept = 0;
  /// Rows that lie one after the other, to [rows, stride]. From any thread; the same bits for any cut into pieces.
  virtual void decode(const HeldRows& rows, float* to, std::int64_t stride) const noexcept = 0;
  /// Null: keys lie row by row, and the core turns each tile.
  [[nodiscard]] virtual const ChannelDecoder* channels() const noexcept { return nullptr; }
  /// How far a number that is read may be from what was given, for this row. 0: exact.
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
  /// How far a number of the group may be from what was given; channels as for encode.
  [[nodiscard]] virtual float largest_error(std::span<const float> channels) const noexcept = 0;
};

/// One of the two.
struct SideCodec {
  std::unique_ptr<RowCodec> rows = nullptr;
  std::unique_ptr<GroupCodec> groups = nullptr;
};

enum class RowSide : std::uint8_t { keys, values };

/// One storage with its options. Keys and values are asked for apart, and one storage may hold keys while another holds
/// values. What its traits say (features.h) decides what it goes together with: `rounded_rows` where rows may come back
/// changed, `fixed_rows` where a held row cannot be replaced, `whole_groups` where single rows cannot be dropped.
class ATTNLAB_API Storage {
 public:
  virtual ~Storage();
  /// An Error where rows of this width cannot be held.
  [[nodiscard]] virtual SideCodec codec(RowSide side, int width) const = 0;
  /// So many of a kv head's newest rows stay as they are, and older ones become codes after the prompt and after each
  /// step: every row once, in order; groups when they are complete and old enough. Such a storage provides
  /// `whole_groups`. None, the default: rows become codes when they are appended, which groups cannot.
  [[nodiscard]] virtual std::optional<int> residual() const noexcept { return std::nullopt; }
};

}  // namespace attnlab
