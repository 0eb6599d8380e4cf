#include "rows/checked_rows.h"

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
              TensorView<const float, 3> values, std::span<const float> marks) override {
    check_sequence("append", sequence);
    check_numbers("keys", positions.size(), keys, shape_.key_dim);
    if (!shape_.value_is_key_prefix) check_numbers("values", positions.size(), values, shape_.value_dim);
    if (const std::size_t wanted = positions.size() * shape_.kv_heads * shape_.marks; marks.size() != wanted)
      broken_rule("append: " + text(marks.size()) + " marks for " + text(positions.size()) + " positions",
                  "give [positions, " + text(shape_.kv_heads) + ", " + text(shape_.marks) + "]");
    for (const Position position : positions)
      if (position < 0) broken_rule("append: a row at position " + text(position), "positions count from 0");
    inner_->append(sequence, positions, keys, values, marks);
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

  void replace(int sequence, int kv_head, int row, std::span<const float> key, std::span<const float> value) override {
    check_place("replace", sequence, kv_head);
    check_span("replace", sequence, kv_head, row, 1);
    const auto wants = [](const char* name, std::span<const float> numbers, int width) {
      if (numbers.size() != static_cast<std::size_t>(width))
        broken_rule("replace: a " + std::string(name) + " of " + text(numbers.size()) + " numbers",
                    "give " + text(width));
    };
    wants("key", key, shape_.key_dim);
    wants("value", value, shape_.value_is_key_prefix ? 0 : shape_.value_dim);
    inner_->replace(sequence, kv_head, row, key, value);
  }

  void truncate(int sequence, Position length) override {
    check_sequence("truncate", sequence);
    if (length < 0) broken_rule("truncate: a length of " + text(length), "give at least 0");
    inner_->truncate(sequence, length);
  }

  void fork(int from, int to) override {
    check_sequence("fork", from);
    check_sequence("fork", to);
    if (from == to) broken_rule("fork: sequence " + text(from) + " to itself", "name an empty sequence");
    for (int head = 0; head < shape_.kv_heads; ++head)
      if (inner_->rows(to, head) > 0)
        broken_rule(
            "fork: sequence " + text(to) + " has " + text(inner_->rows(to, head)) + " rows in kv head " + text(head),
            "name an empty sequence, or clear it first");
    inner_->fork(from, to);
  }

  void read(int sequence, int kv_head, int first, TensorView<float, 2> keys,
            TensorView<float, 2> values) const override {
    check_place("read", sequence, kv_head);
    const auto wants = [](const char* name, const TensorView<float, 2>& numbers, int width) {
      if (numbers.data() == nullptr || (numbers.extent(1) == width && numbers.stride(1) == 1)) return;
      broken_rule("read: " + std::string(name) + " [" + text(numbers.extent(0)) + ", " + text(numbers.extent(1)) +
                      "] with a last stride of " + text(numbers.stride(1)),
                  "give [rows, " + text(width) + "], the last axis dense");
    };
    wants("keys", keys, shape_.key_dim);
    wants("values", values, shape_.value_dim);
    if (keys.data() != nullptr && values.data() != nullptr && keys.extent(0) != values.extent(0))
      broken_rule("read: " + text(keys.extent(0)) + " keys and " + text(values.extent(0)) + " values",
                  "give room for as many of both");
    check_span("read", sequence, kv_head, first, keys.data() != nullptr ? keys.extent(0) : values.extent(0));
    inner_->read(sequence, kv_head, first, keys, values);
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
  void check_span(const char* function, int sequence, int kv_head, int first, std::int64_t count) const {
    const int there = inner_->rows(sequence, kv_head);
    if (first >= 0 && count >= 0 && first + count <= there) return;
    broken_rule(std::string(function) + ": " + (count == 1 ? "row " : text(count) + " rows from row ") + text(first) +
                    " of kv head " + text(kv_head) + ", sequence " + text(sequence) + ", but there are " + text(there) +
                    " rows",
                "name rows from 0 to " + text(there - 1));
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
