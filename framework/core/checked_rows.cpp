#include "core/checked_rows.h"

#include <algorithm>
#include <string>

#include "base/plugin_call.h"

namespace attnlab {
namespace {

std::string text(std::int64_t number) {
  return std::to_string(number);
}

class CheckedRows final : public KvRows {
 public:
  CheckedRows(std::unique_ptr<KvRows> inner, const KvShape& shape, int sequences)
      : inner_(std::move(inner)), shape_(shape), sequences_(sequences) {}

  void append(int sequence, std::span<const Position> positions, TensorView<const float, 3> keys,
              TensorView<const float, 3> values) override {
    check_sequence("append", sequence);
    check_numbers("keys", positions.size(), keys, shape_.key_dim);
    if (!shape_.value_is_key_prefix) check_numbers("values", positions.size(), values, shape_.value_dim);
    for (const Position position : positions)
      if (position < 0) broken_rule("append: a row at position " + text(position), "positions count from 0");
    inner_->append(sequence, positions, keys, values);
  }

  void drop(int sequence, int kv_head, std::span<const int> rows) override {
    check_place("drop", sequence, kv_head);
    const int there = inner_->rows(sequence, kv_head);
    int before = -1;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (rows[i] > before && rows[i] < there) {
        before = rows[i];
        continue;
      }
      const std::string where =
          "drop of kv head " + text(kv_head) + ", sequence " + text(sequence) + ": entry " + text(i) + " is row ";
      if (rows[i] < 0 || rows[i] >= there)
        broken_rule(where + text(rows[i]) + ", but there are " + text(there) + " rows",
                    "name rows from 0 to " + text(there - 1));
      broken_rule(where + text(rows[i]) + (rows[i] == before ? " once more" : " after row " + text(before)),
                  "indices ascend, without repeats");
    }
    inner_->drop(sequence, kv_head, rows);
  }

  void clear(int sequence) override {
    check_sequence("clear", sequence);
    inner_->clear(sequence);
  }
  void settle(int sequence) override {
    check_sequence("settle", sequence);
    inner_->settle(sequence);
  }
  void save(int sequence, StateWriter& to) const override {
    check_sequence("save", sequence);
    inner_->save(sequence, to);
  }
  void restore(int sequence, StateReader& from) override {
    check_sequence("restore", sequence);
    inner_->restore(sequence, from);
  }

  int rows(int sequence, int kv_head) const noexcept override {
    return is_place(sequence, kv_head) ? inner_->rows(sequence, kv_head) : (note_place(sequence, kv_head), 0);
  }
  std::span<const Position> positions(int sequence, int kv_head) const noexcept override {
    if (is_place(sequence, kv_head)) return inner_->positions(sequence, kv_head);
    note_place(sequence, kv_head);
    return {};
  }
  int tiles(int sequence, int kv_head) const noexcept override {
    return is_place(sequence, kv_head) ? inner_->tiles(sequence, kv_head) : (note_place(sequence, kv_head), 0);
  }
  KvTile tile(int sequence, int kv_head, int index, TileScratch& scratch) const noexcept override {
    if (!is_place(sequence, kv_head)) {
      note_place(sequence, kv_head);
      return {};
    }
    if (index >= 0 && index < inner_->tiles(sequence, kv_head)) return inner_->tile(sequence, kv_head, index, scratch);
    note_broken_rule("tile " + text(index) + " of kv head " + text(kv_head) + ", which has " +
                     text(inner_->tiles(sequence, kv_head)));
    return {};
  }
  std::size_t bytes() const noexcept override { return inner_->bytes(); }

 private:
  bool is_place(int sequence, int kv_head) const noexcept {
    return sequence >= 0 && sequence < sequences_ && kv_head >= 0 && kv_head < shape_.kv_heads;
  }
  std::string place_fault(int sequence, int kv_head) const {
    return "rows of sequence " + text(sequence) + ", kv head " + text(kv_head) + ", where there are " +
           text(sequences_) + " sequences and " + text(shape_.kv_heads) + " kv heads";
  }
  void note_place(int sequence, int kv_head) const noexcept { note_broken_rule(place_fault(sequence, kv_head)); }
  void check_place(const char* function, int sequence, int kv_head) const {
    if (!is_place(sequence, kv_head)) broken_rule(std::string(function) + ": " + place_fault(sequence, kv_head));
  }
  void check_sequence(const char* function, int sequence) const {
    if (sequence < 0 || sequence >= sequences_)
      broken_rule(std::string(function) + ": sequence " + text(sequence) + " of " + text(sequences_));
  }
  // [rows, kv_heads, width], the numbers of a row side by side.
  void check_numbers(const char* name, std::size_t rows, const TensorView<const float, 3>& numbers, int width) const {
    if (rows == 0) return;
    const bool fits = numbers.extent(0) == static_cast<std::int64_t>(rows) && numbers.extent(1) == shape_.kv_heads &&
                      numbers.extent(2) == width && numbers.stride(2) == 1;
    if (fits) return;
    broken_rule("append: " + std::string(name) + " [" + text(numbers.extent(0)) + ", " + text(numbers.extent(1)) +
                    ", " + text(numbers.extent(2)) + "] with a last stride of " + text(numbers.stride(2)) + " for " +
                    text(static_cast<std::int64_t>(rows)) + " positions",
                "give [positions, " + text(shape_.kv_heads) + ", " + text(width) + "], the last axis dense");
  }

  std::unique_ptr<KvRows> inner_;
  KvShape shape_;
  int sequences_;
};

}  // namespace

std::unique_ptr<KvRows> checked_rows(std::unique_ptr<KvRows> rows, const KvShape& shape, int sequences) {
  return std::make_unique<CheckedRows>(std::move(rows), shape, sequences);
}

}  // namespace attnlab
