#include "core/f32_rows.h"

#include <algorithm>
#include <vector>

#include "core/block_pool.h"
#include "core/tile_kernels.h"
#include "parallel/parallel.h"

namespace attnlab {
namespace {

class F32Rows final : public KvRows {
 public:
  F32Rows(const KvShape& shape, int sequences, int capacity)
      : shape_(shape),
        lists_(static_cast<std::size_t>(sequences) * shape.kv_heads),
        pool_(block_floats(shape) * sizeof(float), lists_.size() * ((capacity + kTileRows - 1) / kTileRows)) {
    for (List& list : lists_) {
      list.positions.reserve(capacity);
      list.blocks.reserve((capacity + kTileRows - 1) / kTileRows);
    }
  }

  void append(int sequence, std::span<const Position> positions, TensorView<const float, 3> keys,
              TensorView<const float, 3> values) override {
    if (positions.empty()) return;
    for (int head = 0; head < shape_.kv_heads; ++head) {
      List& list = at(sequence, head);
      const std::size_t rows = list.positions.size() + positions.size();
      while (list.blocks.size() * kTileRows < rows) list.blocks.push_back(pool_.acquire());
    }
    const auto store = [&](int head, WorkerSlot) { store_rows(at(sequence, head), head, positions, keys, values); };
    if (positions.size() >= kTileRows) {
      parallel_for(shape_.kv_heads, store);
    } else {
      for (int head = 0; head < shape_.kv_heads; ++head) store(head, 0);
    }
  }

  int rows(int sequence, int kv_head) const noexcept override {
    return static_cast<int>(at(sequence, kv_head).positions.size());
  }
  std::span<const Position> positions(int sequence, int kv_head) const noexcept override {
    return at(sequence, kv_head).positions;
  }
  int tiles(int sequence, int kv_head) const noexcept override {
    return (rows(sequence, kv_head) + kTileRows - 1) / kTileRows;
  }

  void drop(int sequence, int kv_head, std::span<const int> dropped) override {
    List& list = at(sequence, kv_head);
    for (std::size_t i = dropped.size(); i-- > 0;) {
      const int last = static_cast<int>(list.positions.size()) - 1;
      if (dropped[i] != last) copy_row(list, last, dropped[i]);
      list.positions[dropped[i]] = list.positions[last];
      list.positions.pop_back();
    }
    // One row less, as after a step that added one: the block is needed again in the next step. At most one a list.
    if (dropped.size() == 1 && has_empty_block(list) && pool_.spare_blocks() < lists_.size()) {
      pool_.set_aside(list.blocks.back());
      list.blocks.pop_back();
    }
    give_back(list);
  }

  void clear(int sequence) override {
    for (int head = 0; head < shape_.kv_heads; ++head) {
      List& list = at(sequence, head);
      list.positions.clear();
      for (float* block : list.blocks) pool_.set_aside(block);
      list.blocks.clear();
    }
  }

  KvTile tile(int sequence, int kv_head, int index, TileScratch&) const noexcept override {
    const List& list = at(sequence, kv_head);
    const int first = index * kTileRows;
    const int rows = std::min(kTileRows, static_cast<int>(list.positions.size()) - first);
    const float* block = list.blocks[index];
    KvTile tile;
    if (shape_.value_is_key_prefix) {
      tile.keys = {block, {rows, shape_.key_dim}};
      tile.values = {block, {rows, shape_.value_dim}, {shape_.key_dim, 1}};
    } else {
      tile.keys = {block, {rows, shape_.key_dim}, {1, kTileRows}};
      tile.values = {block + static_cast<std::int64_t>(shape_.key_dim) * kTileRows, {rows, shape_.value_dim}};
    }
    tile.positions = std::span(list.positions).subspan(first, rows);
    for (const Position position : tile.positions) tile.range.include(position);
    return tile;
  }

  std::size_t bytes() const noexcept override {
    std::size_t sum = pool_.bytes();
    for (const List& list : lists_) sum += list.positions.size() * sizeof(Position);
    return sum;
  }

  void save(int sequence, StateWriter& to) const override {
    for (int head = 0; head < shape_.kv_heads; ++head) {
      const List& list = at(sequence, head);
      to.put_all(list.positions);
      for (int block = 0; block < tiles(sequence, head); ++block)
        to.put_bytes(std::as_bytes(std::span(list.blocks[block], block_floats(shape_))));
    }
  }

  void restore(int sequence, StateReader& from) override {
    clear(sequence);
    for (int head = 0; head < shape_.kv_heads; ++head) {
      List& list = at(sequence, head);
      from.get_all(list.positions);
      for (int block = 0; block < tiles(sequence, head); ++block) {
        list.blocks.push_back(pool_.acquire());
        from.get_bytes(std::as_writable_bytes(std::span(list.blocks.back(), block_floats(shape_))));
      }
    }
  }

 private:
  // One (sequence, kv head): row r is in column r % kTileRows of block r / kTileRows.
  struct List {
    std::vector<float*> blocks;  // [key_dim, kTileRows] keys, then [kTileRows, value_dim] values; or, where the value
                                 // is the front of the key, [kTileRows, key_dim]
    std::vector<Position> positions;
  };

  static std::size_t block_floats(const KvShape& shape) {
    return static_cast<std::size_t>(kTileRows) * (shape.key_dim + (shape.value_is_key_prefix ? 0 : shape.value_dim));
  }
  List& at(int sequence, int head) noexcept {
    return lists_[static_cast<std::size_t>(sequence) * shape_.kv_heads + head];
  }
  const List& at(int sequence, int head) const noexcept {
    return lists_[static_cast<std::size_t>(sequence) * shape_.kv_heads + head];
  }

  void store_rows(List& list, int head, std::span<const Position> positions, TensorView<const float, 3> keys,
                  TensorView<const float, 3> values) const {
    for (std::size_t i = 0; i < positions.size(); ++i) {
      const std::size_t row = list.positions.size();
      float* block = list.blocks[row / kTileRows];
      const std::size_t column = row % kTileRows;
      const float* key = &keys(i, head, 0);
      if (shape_.value_is_key_prefix) {
        std::copy_n(key, shape_.key_dim, block + column * shape_.key_dim);
      } else if (column == 0 && i + kTileRows <= positions.size() && keys.stride(2) == 1) {
        transpose_tile(key, keys.stride(0), kTileRows, shape_.key_dim, block, kTileRows);
        for (std::size_t j = 0; j < kTileRows; ++j)
          std::copy_n(&values(i + j, head, 0), shape_.value_dim, value_row(block, j));
        list.positions.insert(list.positions.end(), positions.begin() + i, positions.begin() + i + kTileRows);
        i += kTileRows - 1;
        continue;
      } else {
        for (int channel = 0; channel < shape_.key_dim; ++channel) block[channel * kTileRows + column] = key[channel];
        std::copy_n(&values(i, head, 0), shape_.value_dim, value_row(block, column));
      }
      list.positions.push_back(positions[i]);
    }
  }

  float* value_row(float* block, std::size_t column) const {
    return block + static_cast<std::size_t>(shape_.key_dim) * kTileRows + column * shape_.value_dim;
  }

  void copy_row(List& list, int from, int to) const {
    const float* source = list.blocks[from / kTileRows];
    float* target = list.blocks[to / kTileRows];
    const int from_column = from % kTileRows;
    const int to_column = to % kTileRows;
    if (shape_.value_is_key_prefix) {
      std::copy_n(source + static_cast<std::int64_t>(from_column) * shape_.key_dim, shape_.key_dim,
                  target + static_cast<std::int64_t>(to_column) * shape_.key_dim);
      return;
    }
    for (int channel = 0; channel < shape_.key_dim; ++channel)
      target[channel * kTileRows + to_column] = source[channel * kTileRows + from_column];
    std::copy_n(value_row(const_cast<float*>(source), from_column), shape_.value_dim, value_row(target, to_column));
  }

  static bool has_empty_block(const List& list) {
    return !list.blocks.empty() && (list.blocks.size() - 1) * kTileRows >= list.positions.size();
  }

  void give_back(List& list) {
    while (has_empty_block(list)) {
      pool_.release(list.blocks.back());
      list.blocks.pop_back();
    }
  }

  KvShape shape_;
  std::vector<List> lists_;  // [sequences x kv_heads]
  BlockPool pool_;
};

}  // namespace

std::unique_ptr<KvRows> f32_rows(const KvShape& shape, int sequences, int capacity) {
  return std::make_unique<F32Rows>(shape, sequences, capacity);
}

}  // namespace attnlab
