// A storage of rows beside a plain vector of rows: every change is made to both, and both have to say the same.
// Not here: what an element type reads back (storage_reference.h).
#pragma once

#include <cmath>
#include <memory>
#include <numeric>
#include <span>
#include <vector>

#include <gtest/gtest.h>

#include "reference/storage_reference.h"
#include "reference/streams.h"

namespace attnlab::reference {

/// Random numbers, and vectors in which a definition has an edge: nothing but zeros, constants, halves of a step,
/// numbers far apart, and so small that a scale vanishes.
inline std::vector<float> odd_vectors(Stream& stream, int count, int width) {
  std::vector<float> all = stream.normals(std::int64_t{count} * width);
  for (int row = 0; row < count; ++row) {
    const std::span<float> vector = std::span(all).subspan(static_cast<std::size_t>(row) * width, width);
    switch (stream.between(0, 7)) {
      case 0:
        std::ranges::fill(vector, 0.0F);
        break;
      case 1:
        std::ranges::fill(vector, stream.normal());
        break;
      case 2:  // ties of int8 at a scale of 1 / 8
        for (float& x : vector) x = static_cast<float>(stream.between(-254, 254)) / 16.0F;
        vector[0] = 127.0F / 8;
        break;
      case 3:  // ties of int4 at a scale of 1 / 4, and of bf16
        for (float& x : vector) x = static_cast<float>(stream.between(0, 30)) / 8.0F + 256.0F;
        vector[0] = 256.0F;
        vector.back() = 256.0F + 15.0F / 4;
        break;
      case 4:
        for (float& x : vector) x *= std::exp2(static_cast<float>(stream.between(-60, 60)));
        break;
      case 5:
        for (float& x : vector) x *= 1e-43F;
        break;
      default:
        break;
    }
  }
  return all;
}

class StoragePair {
 public:
  StoragePair(const StorageSpec& storage, const KvShape& shape, int sequences, int capacity, std::uint64_t seed)
      : storage_(storage),
        shape_(shape),
        sequences_(sequences),
        stream_(seed),
        next_(sequences),
        model_(static_cast<std::size_t>(sequences) * shape.kv_heads),
        rows_(make_rows(storage, shape, sequences, capacity)) {}

  void append(int sequence, int count) {
    const std::vector<float> keys = odd_vectors(stream_, count * shape_.kv_heads, shape_.key_dim);
    const std::vector<float> values = odd_vectors(stream_, count * shape_.kv_heads, shape_.value_dim);
    std::vector<Position> positions(count);
    std::iota(positions.begin(), positions.end(), next_[sequence]);
    next_[sequence] += count;
    for (int row = 0; row < count; ++row)
      for (int head = 0; head < shape_.kv_heads; ++head) {
        const std::int64_t vector = row * shape_.kv_heads + head;
        const float* key = keys.data() + vector * shape_.key_dim;
        const float* value = values.data() + vector * shape_.value_dim;
        StoredRow& stored = model(sequence, head).emplace_back(StoredRow{positions[row], {}, {}});
        stored.key = read_back(storage_.keys, {key, key + shape_.key_dim});
        stored.value = read_back(storage_.values, {value, value + shape_.value_dim});
        if (shape_.value_is_key_prefix) stored.value.assign(stored.key.begin(), stored.key.begin() + shape_.value_dim);
      }
    rows_->append(sequence, positions, rows_view(keys, shape_.kv_heads, shape_.key_dim),
                  rows_view(values, shape_.kv_heads, shape_.value_dim));
  }
  void drop(int sequence, int head, const std::vector<int>& dropped) {
    drop_entries(model(sequence, head), std::span(dropped));
    rows_->drop(sequence, head, dropped);
  }
  void drop_some(int sequence, int head, double share) {
    std::vector<int> dropped;
    for (int row = 0; row < static_cast<int>(model(sequence, head).size()); ++row)
      if (stream_.uniform() < share) dropped.push_back(row);
    drop(sequence, head, dropped);
  }
  /// Appends, drops or clears something.
  void change_something() {
    const int sequence = stream_.between(0, sequences_ - 1);
    const int head = stream_.between(0, shape_.kv_heads - 1);
    const double choice = stream_.uniform();
    if (choice < 0.55)
      append(sequence, stream_.between(0, stream_.uniform() < 0.5 ? 3 : 150));
    else if (choice < 0.95)
      drop_some(sequence, head, stream_.uniform());
    else
      clear(sequence);
  }
  void clear(int sequence) {
    for (int head = 0; head < shape_.kv_heads; ++head) {
      kept_pages_ += pages(model(sequence, head).size());
      model(sequence, head).clear();
    }
    rows_->clear(sequence);
    next_[sequence] = 0;
  }

  void expect_equal(const char* after) {
    for (int sequence = 0; sequence < sequences_; ++sequence)
      for (int head = 0; head < shape_.kv_heads; ++head) {
        const std::vector<StoredRow>& right = model(sequence, head);
        ASSERT_EQ(rows_->rows(sequence, head), static_cast<int>(right.size())) << after;
        ASSERT_TRUE(stored_rows(*rows_, shape_, sequence, head) == right)
            << after << ", sequence " << sequence << ", head " << head;
        const std::span<const Position> positions = rows_->positions(sequence, head);
        ASSERT_TRUE(std::equal(positions.begin(), positions.end(), right.begin(), right.end(),
                               [](Position position, const StoredRow& row) { return position == row.position; }));
      }
  }

  /// Whole pages, plus an index a row; at most one page a list and what cleared sequences held is kept beside it.
  void expect_bytes(const char* after) {
    const double page_rows = storage_.page == 0 ? kTileRows : storage_.page;
    const double page_bytes = (row_bytes(storage_, shape_) - sizeof(Position)) * page_rows;
    double needed = 0;
    for (const std::vector<StoredRow>& list : model_)
      needed +=
          static_cast<double>(pages(list.size())) * page_bytes + static_cast<double>(list.size() * sizeof(Position));
    const auto bytes = static_cast<double>(rows_->bytes());
    EXPECT_GE(bytes, needed - 0.5) << after;
    EXPECT_LE(bytes, needed + static_cast<double>(model_.size() + kept_pages_) * page_bytes + 0.5) << after;
  }

  [[nodiscard]] std::vector<StoredRow>& model(int sequence, int head) {
    return model_[static_cast<std::size_t>(sequence) * shape_.kv_heads + head];
  }
  [[nodiscard]] KvRows& rows() { return *rows_; }
  [[nodiscard]] Stream& stream() { return stream_; }

 private:
  [[nodiscard]] std::size_t pages(std::size_t rows) const {
    const std::size_t of_page = storage_.page == 0 ? kTileRows : storage_.page;
    return (rows + of_page - 1) / of_page;
  }

  StorageSpec storage_;
  KvShape shape_;
  int sequences_;
  Stream stream_;
  std::vector<Position> next_;  // [sequences]
  std::vector<std::vector<StoredRow>> model_;
  std::unique_ptr<KvRows> rows_;
  std::size_t kept_pages_ = 0;
};

}  // namespace attnlab::reference
