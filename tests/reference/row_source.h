// A source of keys and values that hands the rows of a RowLists out as tiles, in each layout that the core promises to
// take. Every tile has memory of exactly its own size, so that a sanitizer sees a read past it.
// Not here: storage that grows and drops (framework/rows), policies (plugins/cache).
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <ostream>
#include <vector>

#include "core/attend.h"
#include "reference/attend_reference.h"

namespace attnlab::reference {

/// row_major: keys as [rows, key_dim]. channel_major: as the core wants them. wide_channels: channel-major with more
/// than kTileRows from channel to channel. strided: no stride is 1. decoded: written into the scratch when asked for,
/// row-major and channel-major in turn.
enum class Layout : std::uint8_t { row_major, channel_major, wide_channels, strided, decoded };
inline constexpr Layout kLayouts[] = {Layout::row_major, Layout::channel_major, Layout::wide_channels, Layout::strided,
                                      Layout::decoded};
inline const char* layout_name(Layout layout) {
  constexpr const char* names[] = {"row_major", "channel_major", "wide_channels", "strided", "decoded"};
  return names[static_cast<int>(layout)];
}
inline std::ostream& operator<<(std::ostream& out, Layout layout) {
  return out << layout_name(layout);
}

class RowSource final : public KvSource {
 public:
  struct Settings {
    Layout layout = Layout::channel_major;
    KeyForm key_form = KeyForm::rotated;
    const Rotation* rotation = nullptr;      // of keys that are handed out rotated
    std::span<const Position> lengths = {};  // [sequences], for that rotation
    int tile_rows = kTileRows;               // rows of a tile; fewer than kTileRows are allowed
    const MaskRule* visibility = nullptr;
    const TileSelector* selector = nullptr;
    MassSink* mass_sink = nullptr;
  };

  RowSource(const RowLists& rows, const Settings& settings)
      : shape_(rows.shape), settings_(settings), tiles_(rows.lists.size()) {
    for (std::size_t list = 0; list < rows.lists.size(); ++list) {
      const std::vector<Row>& of_list = rows.lists[list];
      for (std::size_t first = 0; first < of_list.size();) {  // a tile has one query cap
        std::size_t end = first + 1;
        while (end < of_list.size() && end - first < static_cast<std::size_t>(settings.tile_rows) &&
               of_list[end].query_cap == of_list[first].query_cap)
          ++end;
        tiles_[list].push_back(std::make_unique<Tile>(
            make_tile(std::span(of_list).subspan(first, end - first), static_cast<int>(list) / shape_.kv_heads)));
        first = end;
      }
    }
  }

  KvShape shape() const noexcept override { return shape_; }
  KeyForm key_form() const noexcept override { return settings_.key_form; }
  const MaskRule* visibility(int) const noexcept override { return settings_.visibility; }
  const TileSelector* selector() const noexcept override { return settings_.selector; }
  MassSink* mass_sink() const noexcept override { return settings_.mass_sink; }
  int tiles(int sequence, int kv_head) const noexcept override {
    return static_cast<int>(tiles_[sequence * shape_.kv_heads + kv_head].size());
  }
  KvTile tile(int sequence, int kv_head, int index, TileScratch& scratch) const noexcept override {
    const Tile& from = *tiles_[sequence * shape_.kv_heads + kv_head][index];
    KvTile tile;
    tile.positions = from.positions;
    tile.query_cap = from.query_cap;
    for (const Position position : from.positions) tile.range.include(position);
    if (settings_.layout != Layout::decoded) {
      tile.keys = {from.keys.data(), {from.rows(), shape_.key_dim}, from.key_strides};
      tile.values = {from.values.data(), {from.rows(), shape_.value_dim}, {from.value_stride, 1}};
      return tile;
    }
    std::copy(from.keys.begin(), from.keys.end(), scratch.keys.begin());
    std::copy(from.values.begin(), from.values.end(), scratch.values.begin());
    std::copy(from.positions.begin(), from.positions.end(), scratch.positions.begin());
    tile.keys = {scratch.keys.data(), {from.rows(), shape_.key_dim}, from.key_strides};
    tile.values = {scratch.values.data(), {from.rows(), shape_.value_dim}};
    tile.positions = scratch.positions.first(from.positions.size());
    return tile;
  }

 private:
  struct Tile {
    std::vector<float> keys = {};  // as key_strides says
    std::array<std::int64_t, 2> key_strides;
    std::vector<float> values = {};  // [rows, value_stride]
    std::int64_t value_stride;
    std::vector<Position> positions = {};
    Position query_cap;
    [[nodiscard]] std::int64_t rows() const { return static_cast<std::int64_t>(positions.size()); }
  };

  // Strides of row and channel; a decoded tile is row-major or channel-major by its number of rows.
  [[nodiscard]] std::array<std::int64_t, 2> strides(std::int64_t rows) const {
    switch (settings_.layout) {
      case Layout::row_major:
        return {shape_.key_dim, 1};
      case Layout::channel_major:
        return {1, kTileRows};
      case Layout::wide_channels:
        return {1, kTileRows + 16};
      case Layout::strided:
        return {2 * shape_.key_dim + 3, 2};
      case Layout::decoded:
        break;
    }
    if ((decoded_++ + rows) % 2 == 0) return {shape_.key_dim, 1};
    return {1, kTileRows};
  }

  Tile make_tile(std::span<const Row> rows, int sequence) const {
    const auto count = static_cast<std::int64_t>(rows.size());
    const std::int64_t padding = settings_.layout == Layout::strided ? 5 : 0;
    Tile tile{
        .key_strides = strides(count), .value_stride = shape_.value_dim + padding, .query_cap = rows[0].query_cap};
    const auto [row_stride, channel_stride] = tile.key_strides;
    // Channel-major keys are readable to kTileRows rows; what lies past the tile's own is not a number.
    const std::int64_t readable = row_stride == 1 ? kTileRows : count;
    tile.keys.assign((readable - 1) * row_stride + (shape_.key_dim - 1) * channel_stride + 1,
                     std::numeric_limits<float>::quiet_NaN());
    tile.values.assign(count * tile.value_stride - padding, std::numeric_limits<float>::quiet_NaN());
    for (std::int64_t row = 0; row < count; ++row) {
      std::vector<float> key = rows[row].key;
      if (settings_.key_form == KeyForm::rotated && settings_.rotation != nullptr)
        settings_.rotation->rotate({{&rows[row].position, 1}, settings_.lengths[sequence], RotateSide::key},
                                   {key.data(), {1, 1, shape_.key_dim}});
      for (int i = 0; i < shape_.key_dim; ++i) tile.keys[row * row_stride + i * channel_stride] = key[i];
      std::copy(rows[row].value.begin(), rows[row].value.end(), tile.values.begin() + row * tile.value_stride);
      tile.positions.push_back(rows[row].position);
    }
    return tile;
  }

  KvShape shape_;
  Settings settings_;
  std::vector<std::vector<std::unique_ptr<Tile>>> tiles_;  // [sequences x kv_heads][tiles]
  mutable int decoded_ = 0;                                // tiles made so far
};

}  // namespace attnlab::reference
