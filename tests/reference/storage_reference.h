// What storages read back, as fixtures/cache/SPEC.md and fixtures/plugins/SPEC.md say it: one vector at a time, in
// plain float32 loops. Beside it, tiles of any storage as plain rows.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <string>
#include <vector>

#include <attnlab/cache_policy.h>

#include "reference/storage_spec.h"

namespace attnlab::reference {

/// The nearer of the two neighbours whose lower half is zero; of two that are equally near the one whose last bit is 0.
inline float nearest_bf16(float x) {
  const auto below = std::bit_cast<float>(std::bit_cast<std::uint32_t>(x) & 0xffff0000U);
  const auto above = std::bit_cast<float>((std::bit_cast<std::uint32_t>(x) & 0xffff0000U) + 0x10000U);
  const double to_below = std::abs(static_cast<double>(x) - below);
  const double to_above = std::abs(static_cast<double>(above) - x);
  if (to_below != to_above) return to_below < to_above ? below : above;
  return (std::bit_cast<std::uint32_t>(below) >> 16) % 2 == 0 ? below : above;
}

inline std::vector<float> read_back_int8(std::vector<float> x) {
  float largest = 0;
  for (const float component : x) largest = std::max(largest, std::abs(component));
  const float scale = largest / 127.0F;
  for (float& component : x) {
    const float code = scale == 0 ? 0 : std::clamp(std::nearbyint(component / scale), -127.0F, 127.0F);
    component = code * scale;
  }
  return x;
}

/// Each `group` components with a minimum and a scale of their own.
inline std::vector<float> read_back_affine(std::vector<float> x, int bits, int group) {
  const auto levels = static_cast<float>((1 << bits) - 1);
  for (std::size_t first = 0; first < x.size(); first += group) {
    const auto begin = x.begin() + first;
    const auto end = x.begin() + std::min(first + group, x.size());
    const float low = *std::min_element(begin, end);
    const float scale = (*std::max_element(begin, end) - low) / levels;
    for (auto component = begin; component != end; ++component) {
      const float code = scale == 0 ? 0 : std::clamp(std::nearbyint((*component - low) / scale), 0.0F, levels);
      const float scaled = code * scale;
      *component = scaled + low;
    }
  }
  return x;
}

inline std::vector<float> read_back(const std::string& element, std::vector<float> x) {
  if (element == "bf16") std::transform(x.begin(), x.end(), x.begin(), nearest_bf16);
  if (element == "int8") return read_back_int8(std::move(x));
  if (element == "int4") return read_back_affine(std::move(x), 4, 32);
  return x;
}

/// One row as a storage hands it out.
struct StoredRow {
  Position position;
  std::vector<float> key;
  std::vector<float> value;
  bool operator==(const StoredRow&) const = default;
};

/// Room for one tile, no more than is promised.
class TileRoom {
 public:
  explicit TileRoom(const KvShape& shape)
      : keys_(static_cast<std::size_t>(shape.key_dim) * kTileRows + kAlign),
        values_(static_cast<std::size_t>(shape.value_dim) * kTileRows + kAlign),
        positions_(kTileRows) {}
  TileScratch scratch() { return {aligned(keys_), aligned(values_), positions_}; }

 private:
  static constexpr std::size_t kAlign = 16;
  static std::span<float> aligned(std::vector<float>& memory) {
    const auto past = reinterpret_cast<std::uintptr_t>(memory.data()) % 64 / sizeof(float);
    return std::span(memory).subspan(past == 0 ? 0 : kAlign - past, memory.size() - kAlign);
  }
  std::vector<float> keys_, values_;
  std::vector<Position> positions_;
};

/// All rows of a list, tile by tile. A tile that is not full before the last, or a range that is wrong, gives nothing.
inline std::vector<StoredRow> stored_rows(const KvRows& rows, const KvShape& shape, int sequence, int head) {
  std::vector<StoredRow> all;
  TileRoom room(shape);
  TileScratch scratch = room.scratch();
  const int tiles = rows.tiles(sequence, head);
  for (int index = 0; index < tiles; ++index) {
    const KvTile tile = rows.tile(sequence, head, index, scratch);
    if (tile.rows() != kTileRows && index + 1 != tiles) return {};
    PositionRange range;
    for (int row = 0; row < tile.rows(); ++row) {
      StoredRow& stored = all.emplace_back(StoredRow{tile.positions[row], {}, {}});
      range.include(stored.position);
      for (int i = 0; i < shape.key_dim; ++i) stored.key.push_back(tile.keys(row, i));
      for (int i = 0; i < shape.value_dim; ++i) stored.value.push_back(tile.values(row, i));
    }
    if (tile.range.first != range.first || tile.range.last != range.last) return {};
  }
  return all;
}

/// Rows alone as a source: what `attend` meets where no policy stands between.
class RowsSource final : public KvSource {
 public:
  RowsSource(const StorageSpec& storage, const KvShape& shape, int sequences)
      : shape_(shape), rows_(make_rows(storage, shape, sequences, 0)) {}
  KvShape shape() const noexcept override { return shape_; }
  KeyForm key_form() const noexcept override { return KeyForm::rotated; }
  int tiles(int sequence, int kv_head) const noexcept override { return rows_->tiles(sequence, kv_head); }
  KvTile tile(int sequence, int kv_head, int index, TileScratch& scratch) const noexcept override {
    return rows_->tile(sequence, kv_head, index, scratch);
  }
  [[nodiscard]] KvRows& rows() { return *rows_; }

 private:
  KvShape shape_;
  std::unique_ptr<KvRows> rows_;
};

}  // namespace attnlab::reference
