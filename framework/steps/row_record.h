// A record of what was appended to caches: key and value of every row as they were given, by cache, sequence, kv head
// and position. Rows that a cache returns later are compared with it, so that lost, mixed up or invented rows are
// found. Not here: which rows a policy keeps, and how a storage rounds them.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <span>
#include <tuple>
#include <vector>

#include <attnlab/api.h>
#include <attnlab/cache_policy.h>

namespace attnlab {

class ATTNLAB_API RowRecord {
 public:
  /// Remembers one row in `stride`: long contexts would double the memory of their caches.
  explicit RowRecord(int stride = 1) : stride_(stride) {}

  /// The rows of one kv head, at ascending positions. A position below `length` takes the rows from there on back (a
  /// step that was rejected). The list begins anew at position 0, after a gap, and with another history: rows before
  /// that position are then rows that nobody has seen (a state that was restored, a fork).
  struct List {
    std::uint64_t history = 0;  // see LayerPass::histories
    Position length = 0;        // positions below have been appended
    Position unseen = 0;        // rows at lower positions were not recorded
    double largest_key = 0;     // of all numbers that were appended, where a storage rounds them
    double largest_value = 0;
    int width = 0;
    std::vector<float> numbers;  // [remembered, key_dim + value_dim]
  };
  [[nodiscard]] List& at(const LayerCache& cache, int sequence, int kv_head) {
    return lists_[{&cache, sequence, kv_head}];
  }

  [[nodiscard]] bool remembers(Position position) const noexcept { return position % stride_ == stride_ - 1; }
  /// Makes room for the row at `position`.
  void begin_row(List& list, std::uint64_t history, Position position, int width) const;
  /// Of a row that is remembered, after begin_row.
  void set(List& list, Position position, std::span<const float> key, std::span<const float> value) const;
  /// [key_dim + value_dim]; empty where the row is not remembered.
  [[nodiscard]] std::span<const float> row(const List& list, Position position) const noexcept;

  /// Into a largest number, by magnitude.
  static void include(float number, double& largest) {
    if (std::isfinite(number)) largest = std::max(largest, std::abs(static_cast<double>(number)));
  }

 private:
  int stride_;
  std::map<std::tuple<const LayerCache*, int, int>, List> lists_;
};

}  // namespace attnlab
