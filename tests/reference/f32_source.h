// Rows of the framework's own f32 storage as a source: what `attend` meets where no policy stands between.
#pragma once

#include <memory>

#include "rows/f32_rows.h"
#include "reference/attend_case.h"

namespace attnlab::reference {

class F32Source final : public KvSource {
 public:
  F32Source(const KvShape& shape, int sequences, int capacity = 0)
      : shape_(shape), rows_(f32_rows(shape, sequences, capacity)) {}

  KvShape shape() const noexcept override { return shape_; }
  KeyForm key_form() const noexcept override { return KeyForm::rotated; }
  int tiles(int sequence, int kv_head) const noexcept override { return rows_->tiles(sequence, kv_head); }
  KvTile tile(int sequence, int kv_head, int index, TileScratch& scratch) const noexcept override {
    return rows_->tile(sequence, kv_head, index, scratch);
  }
  [[nodiscard]] KvRows& rows() { return *rows_; }

  /// Rows first .. first + count of every kv head's list in `from`, whose lists of one sequence are equally long.
  void append(const RowLists& from, int from_sequence, int to_sequence, int first, int count) {
    std::vector<float> keys;    // [count, kv_heads, key_dim]
    std::vector<float> values;  // [count, kv_heads, value_dim]
    std::vector<Position> positions;
    for (int row = first; row < first + count; ++row) {
      positions.push_back(from.at(from_sequence, 0)[row].position);
      for (int head = 0; head < shape_.kv_heads; ++head) {
        const Row& of_head = from.at(from_sequence, head)[row];
        keys.insert(keys.end(), of_head.key.begin(), of_head.key.end());
        values.insert(values.end(), of_head.value.begin(), of_head.value.end());
      }
    }
    rows_->append(to_sequence, positions, rows_view(std::as_const(keys), shape_.kv_heads, shape_.key_dim),
                  rows_view(std::as_const(values), shape_.kv_heads, shape_.value_dim));
  }

 private:
  KvShape shape_;
  std::unique_ptr<KvRows> rows_;
};

}  // namespace attnlab::reference
