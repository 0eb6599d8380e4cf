// One side of cached rows, the keys or the values of all lists (a list is a sequence's kv head): each side has a codec
// of its own. Not here: positions and marks, and how two sides make a tile (stored_rows).
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <utility>

#include <attnlab/core.h>
#include <attnlab/state.h>
#include <attnlab/storage.h>

namespace attnlab {

/// Rows of a tile as numbers or, where they were asked for, as codes.
struct SideTile {
  TensorView<const float, 2> numbers;  // [rows, width]: by row, or by channel with kTileRows between channels
  CodedRows codes;
};

class SideRows {
 public:
  virtual ~SideRows() = default;

  /// Room for `to` rows where there are `from`.
  virtual void grow(std::size_t list, int from, int to) = 0;
  /// vectors [count, width] as rows from `row` on. Different lists from different threads.
  virtual void store(std::size_t list, int row, TensorView<const float, 2> vectors) = 0;
  /// Whether single rows can be moved and replaced.
  [[nodiscard]] virtual bool has_single_rows() const noexcept = 0;
  virtual void copy(std::size_t list, int from_row, int to_row) = 0;
  virtual void replace(std::size_t list, int row, std::span<const float> vector) = 0;
  /// `rows` are left. needed_again: the next step needs as many as there were.
  virtual void shrink(std::size_t list, int rows, bool needed_again) = 0;
  /// Whether the list would hold its first `rows` as it does, had the others never come.
  [[nodiscard]] virtual bool can_truncate(std::size_t list, int rows) const noexcept = 0;
  virtual void clear(std::size_t list) = 0;
  virtual void fork(std::size_t from, std::size_t to) = 0;

  /// Rows of the list that are to become codes now that there are `rows`; room for them.
  virtual int prepare_settling(std::size_t list, int rows) = 0;
  /// Different lists from different threads.
  virtual void settle(std::size_t list, int rows) = 0;
  virtual void finish_settling(std::size_t list) = 0;

  /// Rows first .. first + count, a tile of a list of `rows`; in place or in `room`. From any thread.
  virtual SideTile tile(std::size_t list, int first, int count, int rows, std::span<float> room,
                        bool takes_codes) const noexcept = 0;

  [[nodiscard]] virtual std::size_t bytes() const noexcept = 0;
  /// Of a row in a full page; of rows that settle, once they are codes.
  [[nodiscard]] virtual double row_bytes() const noexcept = 0;
  /// Of a list of so many rows.
  [[nodiscard]] virtual double list_bytes(int rows) const noexcept = 0;
  virtual void save(std::size_t list, StateWriter& to) const = 0;
  virtual void restore(std::size_t list, int rows, StateReader& from) = 0;
};

/// Keys stand by channel where they can; what is both key and value stands by row.
enum class SideOrder : std::uint8_t { by_row, by_channel };

struct SideFormat {
  SideOrder order = SideOrder::by_row;
  int width = 0;
  int page = 0;  // rows of a page; 0: one tile
  std::size_t lists = 0;
  int capacity = 0;  // rows that a list may reach: only address space is set aside for it. 0: not known
};

/// Rows that are their codec's from the moment they come; without a codec, rows as they are.
[[nodiscard]] std::unique_ptr<SideRows> direct_side(const SideFormat& format, std::unique_ptr<RowCodec> codec);
/// Keys and values of that kind, beside each other in the same pages. The values are used together with the keys, and
/// not after them.
[[nodiscard]] std::pair<std::unique_ptr<SideRows>, std::unique_ptr<SideRows>> direct_sides(
    const SideFormat& of_keys, std::unique_ptr<RowCodec> key_codec, const SideFormat& of_values,
    std::unique_ptr<RowCodec> value_codec);
/// The `residual` newest rows as they are; older ones become codes where the rows settle. Single rows stay where they
/// are: they may share their codes' scales with others.
[[nodiscard]] std::unique_ptr<SideRows> settled_side(const SideFormat& format, SideCodec codec, int residual);

}  // namespace attnlab
