#include "core/element_rows.h"

#include <algorithm>
#include <vector>

#include "core/panel_rows.h"
#include "parallel/parallel.h"

namespace attnlab {
namespace {

// Keys stand by channel, so that a decoded tile is used in place. Where the value is the front of the key, the key
// serves as both and stands by row.
PanelRows key_rows(const RowFormat& format, const KvShape& shape, std::size_t lists, int capacity) {
  const auto order = shape.value_is_key_prefix ? Panel::Order::by_row : Panel::Order::by_channel;
  const PageLayout layout = PageLayout::of_rows(format.page);
  return {Panel(format.keys, order, layout.cell_rows, shape.key_dim), layout, lists, capacity};
}

PanelRows value_rows(const RowFormat& format, const KvShape& shape, std::size_t lists, int capacity) {
  const PageLayout layout = PageLayout::of_rows(format.page);
  return {Panel(format.values, Panel::Order::by_row, layout.cell_rows, shape.value_dim), layout, lists, capacity};
}

class ElementRows final : public KvRows {
 public:
  ElementRows(const RowFormat& format, const KvShape& shape, int sequences, int capacity)
      : shape_(shape),
        has_values_(!shape.value_is_key_prefix),
        positions_(static_cast<std::size_t>(sequences) * shape.kv_heads),
        keys_(key_rows(format, shape, positions_.size(), capacity)),
        values_(value_rows(format, shape, positions_.size(), capacity)) {
    for (std::vector<Position>& positions : positions_) positions.reserve(capacity);
  }

  void append(int sequence, std::span<const Position> positions, TensorView<const float, 3> keys,
              TensorView<const float, 3> values) override {
    for (int head = 0; head < shape_.kv_heads; ++head) {
      const std::size_t list = index(sequence, head);
      const int rows = static_cast<int>(positions_[list].size() + positions.size());
      keys_.grow(list, rows);
      if (has_values_) values_.grow(list, rows);
    }
    const auto store = [&](int head, WorkerSlot) {
      const std::size_t list = index(sequence, head);
      for (std::size_t i = 0; i < positions.size(); ++i) {
        const int row = static_cast<int>(positions_[list].size());
        keys_.store(list, row, &keys(i, head, 0));
        if (has_values_) values_.store(list, row, &values(i, head, 0));
        positions_[list].push_back(positions[i]);
      }
    };
    if (positions.size() >= kTileRows) {
      parallel_for(shape_.kv_heads, store);
    } else {
      for (int head = 0; head < shape_.kv_heads; ++head) store(head, 0);
    }
  }

  int rows(int sequence, int kv_head) const noexcept override {
    return static_cast<int>(positions_[index(sequence, kv_head)].size());
  }
  std::span<const Position> positions(int sequence, int kv_head) const noexcept override {
    return positions_[index(sequence, kv_head)];
  }
  int tiles(int sequence, int kv_head) const noexcept override {
    return (rows(sequence, kv_head) + kTileRows - 1) / kTileRows;
  }

  void drop(int sequence, int kv_head, std::span<const int> dropped) override {
    const std::size_t list = index(sequence, kv_head);
    std::vector<Position>& positions = positions_[list];
    for (std::size_t i = dropped.size(); i-- > 0;) {
      const int last = static_cast<int>(positions.size()) - 1;
      if (dropped[i] != last) {
        keys_.copy(list, last, dropped[i]);
        if (has_values_) values_.copy(list, last, dropped[i]);
      }
      positions[dropped[i]] = positions[last];
      positions.pop_back();
    }
    // One row less, as after a step that added one: the next step needs the page again.
    const bool needed_again = dropped.size() == 1;
    keys_.shrink(list, static_cast<int>(positions.size()), needed_again);
    if (has_values_) values_.shrink(list, static_cast<int>(positions.size()), needed_again);
  }

  void clear(int sequence) override {
    for (int head = 0; head < shape_.kv_heads; ++head) {
      const std::size_t list = index(sequence, head);
      positions_[list].clear();
      keys_.clear(list);
      if (has_values_) values_.clear(list);
    }
  }

  KvTile tile(int sequence, int kv_head, int tile_index, TileScratch& scratch) const noexcept override {
    const std::size_t list = index(sequence, kv_head);
    const int first = tile_index * kTileRows;
    const int rows = std::min(kTileRows, static_cast<int>(positions_[list].size()) - first);
    KvTile tile;
    tile.positions = std::span(positions_[list]).subspan(first, rows);
    for (const Position position : tile.positions) tile.range.include(position);
    const int next = first + kTileRows;
    const int of_next = std::clamp(static_cast<int>(positions_[list].size()) - next, 0, kTileRows);
    if (has_values_) {
      if (scratch.takes_codes) tile.key_codes = keys_.coded_tile(list, first, rows, scratch.keys);
      if (scratch.takes_codes) tile.value_codes = values_.coded_tile(list, first, rows, scratch.values);
      // Codes that are multiplied as they are fetch ahead for themselves.
      if (tile.key_codes.codes == nullptr) keys_.prefetch(list, next, of_next);
      if (tile.value_codes.codes == nullptr) values_.prefetch(list, next, of_next);
      if (tile.key_codes.codes == nullptr)
        tile.keys = {channel_major(list, first, rows, scratch.keys.data()), {rows, shape_.key_dim}, {1, kTileRows}};
      if (tile.value_codes.codes == nullptr)
        tile.values = {row_major(values_, list, first, rows, scratch.values.data(), shape_.value_dim),
                       {rows, shape_.value_dim}};
    } else {
      keys_.prefetch(list, next, of_next);
      const float* both = row_major(keys_, list, first, rows, scratch.keys.data(), shape_.key_dim);
      tile.keys = {both, {rows, shape_.key_dim}};
      tile.values = {both, {rows, shape_.value_dim}, {shape_.key_dim, 1}};
    }
    return tile;
  }

  std::size_t bytes() const noexcept override {
    std::size_t sum = keys_.bytes() + values_.bytes();
    for (const std::vector<Position>& positions : positions_) sum += positions.size() * sizeof(Position);
    return sum;
  }

  void save(int sequence, StateWriter& to) const override {
    for (int head = 0; head < shape_.kv_heads; ++head) {
      const std::size_t list = index(sequence, head);
      to.put_all(positions_[list]);
      keys_.save(list, to);
      values_.save(list, to);
    }
  }

  void restore(int sequence, StateReader& from) override {
    clear(sequence);
    for (int head = 0; head < shape_.kv_heads; ++head) {
      const std::size_t list = index(sequence, head);
      from.get_all(positions_[list]);
      keys_.restore(list, from);
      values_.restore(list, from);
    }
  }

 private:
  std::size_t index(int sequence, int head) const noexcept {
    return static_cast<std::size_t>(sequence) * shape_.kv_heads + head;
  }

  const float* channel_major(std::size_t list, int first, int rows, float* scratch) const noexcept {
    if (const float* tile = keys_.in_place(list, first)) return tile;
    // The last tile may be filled in part: whole vectors all the same where the cell has room behind its rows.
    keys_.load(list, first, keys_.has_whole_tiles() ? (rows + 15) / 16 * 16 : rows, scratch, kTileRows);
    return scratch;
  }
  static const float* row_major(const PanelRows& from, std::size_t list, int first, int rows, float* scratch,
                                int width) noexcept {
    if (const float* tile = from.in_place(list, first)) return tile;
    from.load(list, first, rows, scratch, width);
    return scratch;
  }

  KvShape shape_;
  bool has_values_;                               // of their own
  std::vector<std::vector<Position>> positions_;  // [sequences x kv_heads][rows]
  PanelRows keys_;
  PanelRows values_;
};

}  // namespace

std::unique_ptr<KvRows> element_rows(const RowFormat& format, const KvShape& shape, int sequences, int capacity) {
  return std::make_unique<ElementRows>(format, shape, sequences, capacity);
}

double element_list_bytes(const RowFormat& format, const KvShape& shape, int rows) {
  const double values = shape.value_is_key_prefix ? 0 : value_rows(format, shape, 0, 0).list_bytes(rows);
  return key_rows(format, shape, 0, 0).list_bytes(rows) + values + static_cast<double>(sizeof(Position)) * rows;
}

double element_row_bytes(const RowFormat& format, const KvShape& shape) {
  const double values = shape.value_is_key_prefix ? 0 : value_rows(format, shape, 0, 0).row_bytes();
  return key_rows(format, shape, 0, 0).row_bytes() + values + sizeof(Position);
}

}  // namespace attnlab
