// Rows that are encoded when they are appended. Tiles of f32 are read in place, and those of bf16 and
// of 8 and 4-bit codes where the reader computes with them; everything else is decoded tile by tile when it is read.
#include <algorithm>

#include "rows/panel_rows.h"
#include "rows/side_rows.h"

namespace attnlab {
namespace {

// codec: null: rows as they are.
Panel panel_of(const SideFormat& format, const RowCodec* codec) {
  const int rows = PageLayout::of_rows(format.page).cell_rows;
  const bool by_channel =
      format.order == SideOrder::by_channel && (codec == nullptr || Panel::can_be_by_channel(*codec));
  const auto order = by_channel ? Panel::Order::by_channel : Panel::Order::by_row;
  return codec == nullptr ? Panel::plain(order, rows, format.width) : Panel(*codec, order, rows, format.width);
}

class DirectSide final : public SideRows {
 public:
  DirectSide(const SideFormat& format, std::unique_ptr<RowCodec> codec, const Panel* follower = nullptr)
      : codec_(std::move(codec)),
        rows_(panel_of(format, codec_.get()), PageLayout::of_rows(format.page), format.lists, format.capacity,
              follower),
        width_(format.width),
        stands_as_asked_(is_as_asked(format)) {}
  DirectSide(const SideFormat& format, std::unique_ptr<RowCodec> codec, DirectSide& leader)
      : codec_(std::move(codec)),
        rows_(panel_of(format, codec_.get()), leader.rows_),
        width_(format.width),
        stands_as_asked_(is_as_asked(format)) {}

  void grow(std::size_t list, int from, int to) override { rows_.grow(list, from, to); }
  void store(std::size_t list, int row, TensorView<const float, 2> vectors) override {
    rows_.store(list, row, vectors);
  }
  bool has_single_rows() const noexcept override { return true; }
  void copy(std::size_t list, int from_row, int to_row) override { rows_.copy(list, from_row, to_row); }
  void replace(std::size_t list, int row, std::span<const float> vector) override {
    rows_.own(list, row);
    rows_.store(list, row, {vector.data(), {1, width_}});
  }
  void shrink(std::size_t list, int rows, bool needed_again) override { rows_.shrink(list, rows, needed_again); }
  bool can_truncate(std::size_t, int) const noexcept override { return true; }
  void clear(std::size_t list) override { rows_.clear(list); }
  void fork(std::size_t from, std::size_t to) override { rows_.fork(from, to); }

  int prepare_settling(std::size_t, int) override { return 0; }
  void settle(std::size_t, int) override {}
  void finish_settling(std::size_t) override {}

  SideTile tile(std::size_t list, int first, int count, int rows, std::span<float> room,
                bool takes_codes) const noexcept override {
    if (takes_codes && stands_as_asked_)  // they fetch ahead for themselves
      if (const CodedRows codes = rows_.coded_tile(list, first, count, room); !codes.empty()) return {{}, codes};
    const int next = first + kTileRows;
    rows_.prefetch(list, next, std::clamp(rows - next, 0, kTileRows));
    const bool by_row = rows_.panel().order() == Panel::Order::by_row;
    const float* tile = rows_.in_place(list, first);
    if (tile == nullptr) {
      // The last tile may be filled in part: whole vectors all the same where the cell has room after its rows.
      const int loaded = !by_row && rows_.has_whole_tiles() ? (count + 15) / 16 * 16 : count;
      rows_.load(list, first, loaded, room.data(), by_row ? width_ : kTileRows);
      tile = room.data();
    }
    if (by_row) return {{tile, {count, width_}}, {}};
    return {{tile, {count, width_}, {1, kTileRows}}, {}};
  }

  std::size_t bytes() const noexcept override { return rows_.bytes(); }
  double row_bytes() const noexcept override { return rows_.row_bytes(); }
  double list_bytes(int rows) const noexcept override { return rows_.list_bytes(rows); }
  void save(std::size_t list, StateWriter& to) const override { rows_.save(list, to); }
  void restore(std::size_t list, int, StateReader& from) override { rows_.restore(list, from); }

 private:
  // Keys of a codec that cannot read them by channel stand by row, and are turned when they are read.
  [[nodiscard]] bool is_as_asked(const SideFormat& format) const {
    return (format.order == SideOrder::by_channel) == (rows_.panel().order() == Panel::Order::by_channel);
  }

  std::unique_ptr<RowCodec> codec_;  // null: rows as they are
  PanelRows rows_;
  int width_;
  bool stands_as_asked_;
};

}  // namespace

std::unique_ptr<SideRows> direct_side(const SideFormat& format, std::unique_ptr<RowCodec> codec) {
  return std::make_unique<DirectSide>(format, std::move(codec));
}

std::pair<std::unique_ptr<SideRows>, std::unique_ptr<SideRows>> direct_sides(const SideFormat& of_keys,
                                                                             std::unique_ptr<RowCodec> key_codec,
                                                                             const SideFormat& of_values,
                                                                             std::unique_ptr<RowCodec> value_codec) {
  const Panel values = panel_of(of_values, value_codec.get());
  auto keys = std::make_unique<DirectSide>(of_keys, std::move(key_codec), &values);
  auto follower = std::make_unique<DirectSide>(of_values, std::move(value_codec), *keys);
  return {std::move(keys), std::move(follower)};
}

}  // namespace attnlab
