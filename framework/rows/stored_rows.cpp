#include "rows/stored_rows.h"

#include <algorithm>
#include <array>
#include <vector>

#include <attnlab/error.h>
#include <attnlab/scratch.h>

#include "base/plugin_call.h"
#include "parallel/parallel.h"

namespace attnlab {
namespace {

class StoredRows final : public KvRows {
 public:
  StoredRows(RowSides sides, const KvShape& shape, int sequences, int capacity)
      : shape_(shape),
        keys_(std::move(sides.keys)),
        values_(std::move(sides.values)),
        are_fixed_(sides.are_fixed),
        lists_(static_cast<std::size_t>(sequences) * shape.kv_heads) {
    for (List& list : lists_) {
      list.positions.reserve(capacity);
      list.marks.reserve(static_cast<std::size_t>(capacity) * shape.marks);
    }
  }

  void append(int sequence, std::span<const Position> positions, TensorView<const float, 3> keys,
              TensorView<const float, 3> values, std::span<const float> marks) override {
    const auto count = static_cast<int>(positions.size());
    if (count == 0) return;
    for (int head = 0; head < shape_.kv_heads; ++head) {
      const std::size_t list = index(sequence, head);
      const int rows = lists_[list].rows();
      for_sides([&](SideRows& side) { side.grow(list, rows, rows + count); });
    }
    for_heads(count, [&](int head) {
      const std::size_t list = index(sequence, head);
      List& of = lists_[list];
      keys_->store(list, of.rows(), of_head(keys, head));
      if (values_ != nullptr) values_->store(list, of.rows(), of_head(values, head));
      of.positions.insert(of.positions.end(), positions.begin(), positions.end());
      of.length = std::max(of.length, *std::ranges::max_element(positions) + 1);
      for (int row = 0; shape_.marks > 0 && row < count; ++row) {
        const float* from = marks.data() + (std::size_t(row) * shape_.kv_heads + head) * shape_.marks;
        of.marks.insert(of.marks.end(), from, from + shape_.marks);
      }
    });
  }

  int rows(int sequence, int kv_head) const noexcept override { return lists_[index(sequence, kv_head)].rows(); }
  std::span<const Position> positions(int sequence, int kv_head) const noexcept override {
    return lists_[index(sequence, kv_head)].positions;
  }
  int tiles(int sequence, int kv_head) const noexcept override {
    return (rows(sequence, kv_head) + kTileRows - 1) / kTileRows;
  }

  void drop(int sequence, int kv_head, std::span<const int> dropped) override {
    const std::size_t list = index(sequence, kv_head);
    List& of = lists_[list];
    if (dropped.empty()) return;
    if (!has_single_rows()) {
      if (static_cast<int>(dropped.size()) != of.rows())
        broken_rule("drop: single rows of this storage cannot be dropped, they share codes with others",
                    "drop all rows of a kv head, or none; the policy's traits provide token_eviction");
      for_sides([&](SideRows& side) { side.clear(list); });
      of.resize(0, shape_.marks);
      of.changed_at = of.length;
      return;
    }
    of.changed_at = of.length;
    for (std::size_t i = dropped.size(); i-- > 0;) {
      const int last = of.rows() - 1;
      const int hole = dropped[i];
      if (hole != last) {
        for_sides([&](SideRows& side) { side.copy(list, last, hole); });
        std::copy_n(mark(of, last), shape_.marks, mark(of, hole));
      }
      of.positions[hole] = of.positions[last];
      of.resize(last, shape_.marks);
    }
    // One row less, as after a step that added one: the next step needs the page again.
    for_sides([&](SideRows& side) { side.shrink(list, of.rows(), dropped.size() == 1); });
  }

  void replace(int sequence, int kv_head, int row, std::span<const float> key, std::span<const float> value) override {
    if (are_fixed_ || !has_single_rows())
      broken_rule("replace: the rows of this storage are rounded once, when they come, and cannot be replaced",
                  "let the policy's traits exclude fixed_rows");
    const std::size_t list = index(sequence, kv_head);
    lists_[list].changed_at = lists_[list].length;
    keys_->replace(list, row, key);
    if (values_ != nullptr) values_->replace(list, row, value);
  }

  void truncate(int sequence, Position length) override {
    std::vector<int> left;  // [kv_heads]
    for (int head = 0; head < shape_.kv_heads; ++head) left.push_back(rows_below(sequence, head, length));
    for (int head = 0; head < shape_.kv_heads; ++head) {
      const std::size_t list = index(sequence, head);
      List& of = lists_[list];
      of.length = std::min(of.length, length);
      if (left[head] == of.rows()) continue;
      of.resize(left[head], shape_.marks);
      for_sides([&](SideRows& side) { side.shrink(list, left[head], true); });
    }
  }

  void fork(int from, int to) override {
    for (int head = 0; head < shape_.kv_heads; ++head) {
      const std::size_t source = index(from, head);
      const std::size_t target = index(to, head);
      for_sides([&](SideRows& side) { side.fork(source, target); });
      lists_[target] = lists_[source];
    }
  }

  void clear(int sequence) override {
    for (int head = 0; head < shape_.kv_heads; ++head) {
      const std::size_t list = index(sequence, head);
      lists_[list].resize(0, shape_.marks);
      lists_[list].length = lists_[list].changed_at = 0;
      for_sides([&](SideRows& side) { side.clear(list); });
    }
  }

  void settle(int sequence) override {
    int most = 0;  // rows that a head has to encode
    for (int head = 0; head < shape_.kv_heads; ++head) {
      const std::size_t list = index(sequence, head);
      for_sides([&](SideRows& side) { most = std::max(most, side.prepare_settling(list, lists_[list].rows())); });
    }
    if (most == 0) return;
    for_heads(most, [&](int head) {
      const std::size_t list = index(sequence, head);
      for_sides([&](SideRows& side) { side.settle(list, lists_[list].rows()); });
    });
    for (int head = 0; head < shape_.kv_heads; ++head)
      for_sides([&](SideRows& side) { side.finish_settling(index(sequence, head)); });
  }

  KvTile tile(int sequence, int kv_head, int tile_index, TileScratch& scratch) const noexcept override {
    const std::size_t list = index(sequence, kv_head);
    const List& of = lists_[list];
    const int first = tile_index * kTileRows;
    const int rows = std::min(kTileRows, of.rows() - first);
    KvTile tile;
    tile.positions = std::span(of.positions).subspan(first, rows);
    tile.range = PositionRange::of(tile.positions);
    tile.marks = {of.marks.data() + std::size_t(first) * shape_.marks, {rows, shape_.marks}};
    const bool takes_codes = scratch.takes_codes && values_ != nullptr;
    const SideTile keys = keys_->tile(list, first, rows, of.rows(), scratch.keys, takes_codes);
    tile.keys = keys.numbers;
    tile.key_codes = keys.codes;
    if (values_ == nullptr) {  // the front of the key
      tile.values = {keys.numbers.data(), {rows, shape_.value_dim}, {shape_.key_dim, 1}};
      return tile;
    }
    const SideTile values = values_->tile(list, first, rows, of.rows(), scratch.values, takes_codes);
    tile.values = values.numbers;
    tile.value_codes = values.codes;
    return tile;
  }

  void read(int sequence, int kv_head, int first, TensorView<float, 2> keys,
            TensorView<float, 2> values) const override {
    const bool wants_keys = keys.data() != nullptr;
    const bool wants_values = values.data() != nullptr;
    const auto count = static_cast<int>(wants_keys ? keys.extent(0) : values.extent(0));
    Scratch memory;
    std::array<Position, kTileRows> positions;
    TileScratch scratch{memory.floats(std::int64_t{shape_.key_dim} * kTileRows),
                        memory.floats(std::int64_t{shape_.value_dim} * kTileRows), positions};
    for (int done = 0; done < count;) {
      KvTile tile = this->tile(sequence, kv_head, (first + done) / kTileRows, scratch);
      const int row = (first + done) % kTileRows;
      const int rows = std::min(tile.rows() - row, count - done);
      tile.keys = tile.keys.slice(row, rows);
      tile.values = tile.values.slice(row, rows);
      read_tile(tile, wants_keys ? keys.slice(done, rows) : keys, wants_values ? values.slice(done, rows) : values);
      done += rows;
    }
  }

  std::size_t bytes() const noexcept override {
    std::size_t sum = keys_->bytes() + (values_ == nullptr ? 0 : values_->bytes());
    for (const List& list : lists_) sum += list.positions.size() * sizeof(Position) + list.marks.size() * sizeof(float);
    return sum;
  }

  void save(int sequence, StateWriter& to) const override {
    for (int head = 0; head < shape_.kv_heads; ++head) {
      const std::size_t list = index(sequence, head);
      to.put(lists_[list].length);
      to.put(lists_[list].changed_at);
      to.put_all(lists_[list].positions);
      to.put_all(lists_[list].marks);
      for_sides([&](const SideRows& side) { side.save(list, to); });
    }
  }

  void restore(int sequence, StateReader& from) override {
    clear(sequence);
    for (int head = 0; head < shape_.kv_heads; ++head) {
      const std::size_t list = index(sequence, head);
      List& of = lists_[list];
      of.length = from.get<Position>();
      of.changed_at = from.get<Position>();
      from.get_all(of.positions);
      from.get_all(of.marks);
      if (of.marks.size() != of.positions.size() * shape_.marks)
        throw Error("", "the state is that of rows with other marks", "restore rows that were made alike");
      for_sides([&](SideRows& side) { side.restore(list, of.rows(), from); });
    }
  }

 private:
  struct List {  // one (sequence, kv head)
    std::vector<Position> positions;
    std::vector<float> marks;  // [rows, shape.marks]
    Position length = 0;       // no row has come at this position or later
    Position changed_at = 0;   // the length when a row was dropped or replaced last
    [[nodiscard]] int rows() const noexcept { return static_cast<int>(positions.size()); }
    void resize(int rows, int of_row) {
      positions.resize(rows);
      marks.resize(static_cast<std::size_t>(rows) * of_row);
    }
  };

  std::size_t index(int sequence, int head) const noexcept {
    return static_cast<std::size_t>(sequence) * shape_.kv_heads + head;
  }
  float* mark(List& list, int row) const noexcept { return list.marks.data() + std::size_t(row) * shape_.marks; }
  static TensorView<const float, 2> of_head(const TensorView<const float, 3>& rows, int head) {
    return {&rows(0, head, 0), {rows.extent(0), rows.extent(2)}, {rows.stride(0), rows.stride(2)}};
  }

  bool has_single_rows() const noexcept {
    return keys_->has_single_rows() && (values_ == nullptr || values_->has_single_rows());
  }
  template <class Body>
  void for_sides(const Body& body) const {
    body(*keys_);
    if (values_ != nullptr) body(*values_);
  }
  template <class Body>
  void for_heads(int rows, const Body& body) const {
    const double numbers = static_cast<double>(rows) * shape_.kv_heads * (shape_.key_dim + shape_.value_dim);
    parallel_for(shape_.kv_heads, Work::numbers(numbers), [&](int head, WorkerSlot) { body(head); });
  }

  // Rows that stay where those at `length` and later go, which are then the last.
  int rows_below(int sequence, int head, Position length) const {
    const std::size_t list = index(sequence, head);
    const List& of = lists_[list];
    int left = of.rows();
    if (length >= of.length) return left;
    const std::string what = "truncate of sequence " + std::to_string(sequence) + " to " + std::to_string(length) +
                             " tokens: kv head " + std::to_string(head) + " has ";
    if (length < of.changed_at)
      throw Error("",
                  what + "dropped or replaced rows when it had come to " + std::to_string(of.changed_at) + " tokens",
                  "truncate before the policy changes rows");
    while (left > 0 && of.positions[left - 1] >= length) --left;
    if (left == of.rows()) return left;
    for_sides([&](const SideRows& side) {
      if (!side.can_truncate(list, left))
        throw Error("", what + "older rows that have become codes because of those that are to go",
                    "truncate before the rows settle");
    });
    return left;
  }

  KvShape shape_;
  std::unique_ptr<SideRows> keys_;
  std::unique_ptr<SideRows> values_;  // null where the value is the front of the key
  bool are_fixed_;
  std::vector<List> lists_;  // [sequences x kv_heads]
};

SideFormat format_of(const KvShape& shape, int page, int sequences, int capacity) {
  return {.page = page, .lists = static_cast<std::size_t>(sequences) * shape.kv_heads, .capacity = capacity};
}

}  // namespace

SideFormat key_format(const KvShape& shape, int page, int sequences, int capacity) {
  SideFormat format = format_of(shape, page, sequences, capacity);
  // By channel, a decoded tile is used in place; what serves as the value too stands by row.
  format.order = shape.value_is_key_prefix ? SideOrder::by_row : SideOrder::by_channel;
  format.width = shape.key_dim;
  return format;
}

SideFormat value_format(const KvShape& shape, int page, int sequences, int capacity) {
  SideFormat format = format_of(shape, page, sequences, capacity);
  format.width = shape.value_dim;
  return format;
}

std::unique_ptr<KvRows> stored_rows_of(RowSides sides, const KvShape& shape, int sequences, int capacity) {
  return std::make_unique<StoredRows>(std::move(sides), shape, sequences, capacity);
}

}  // namespace attnlab
