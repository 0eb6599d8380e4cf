#include "core/kivi_rows.h"

#include <algorithm>
#include <array>
#include <vector>

#include <attnlab/error.h>

#include "core/panel_rows.h"
#include "core/tile_kernels.h"
#include "parallel/parallel.h"

namespace attnlab {
namespace {

// The four ways in which rows are held: as they are, and as codes. Values are not held where they are the front of the
// key.
struct Parts {
  PanelRows plain_keys, plain_values;
  PanelRows key_codes;  // a cell is a group of tokens; the vectors of its panel are the channels
  PanelRows value_codes;

  Parts(const KiviFormat& format, int page, const KvShape& shape, std::size_t lists, int capacity)
      : plain_keys(make(plain(Panel::Order::by_channel, page, shape.key_dim), page, lists, capacity)),
        plain_values(make(plain(Panel::Order::by_row, page, shape.value_dim), page, lists, capacity)),
        key_codes({codes(format), Panel::Order::by_row, shape.key_dim, format.group},
                  PageLayout::of_groups(page, format.group), lists, capacity),
        value_codes(make({codes(format), Panel::Order::by_row, PageLayout::of_rows(page).cell_rows, shape.value_dim},
                         page, lists, capacity)) {}

  std::array<PanelRows*, 4> all() { return {&plain_keys, &plain_values, &key_codes, &value_codes}; }
  std::array<const PanelRows*, 4> all() const { return {&plain_keys, &plain_values, &key_codes, &value_codes}; }

 private:
  static Panel plain(Panel::Order order, int page, int width) {
    return {Codec{}, order, PageLayout::of_rows(page).cell_rows, width};
  }
  static Codec codes(const KiviFormat& format) {
    return {.form = Codec::Form::affine, .bits = format.bits, .group = format.group};
  }
  static PanelRows make(const Panel& panel, int page, std::size_t lists, int capacity) {
    return {panel, PageLayout::of_rows(page), lists, capacity};
  }
};

class KiviRows final : public KvRows {
 public:
  KiviRows(const KiviFormat& format, int page, const KvShape& shape, int sequences, int capacity)
      : format_(format),
        shape_(shape),
        has_values_(!shape.value_is_key_prefix),
        lists_(static_cast<std::size_t>(sequences) * shape.kv_heads),
        parts_(format, page, shape, lists_.size(), capacity) {
    for (List& list : lists_) list.positions.reserve(capacity);
  }

  void append(int sequence, std::span<const Position> positions, TensorView<const float, 3> keys,
              TensorView<const float, 3> values) override {
    for (int head = 0; head < shape_.kv_heads; ++head) {
      const std::size_t list = index(sequence, head);
      const int rows = lists_[list].rows() + static_cast<int>(positions.size());
      parts_.plain_keys.grow(list, rows);
      if (has_values_) parts_.plain_values.grow(list, rows);
    }
    for_heads(static_cast<int>(positions.size()), [&](int head) {
      const std::size_t list = index(sequence, head);
      for (std::size_t i = 0; i < positions.size(); ++i) {
        parts_.plain_keys.store(list, lists_[list].rows(), &keys(i, head, 0));
        if (has_values_) parts_.plain_values.store(list, lists_[list].rows(), &values(i, head, 0));
        lists_[list].positions.push_back(positions[i]);
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
    if (dropped.empty()) return;
    ATTNLAB_CHECK(static_cast<int>(dropped.size()) == lists_[list].rows(),
                  "single rows of the storage kivi cannot be dropped: they share their codes' scales with others");
    forget(list);
  }

  void clear(int sequence) override {
    for (int head = 0; head < shape_.kv_heads; ++head) forget(index(sequence, head));
  }

  void settle(int sequence) override {
    int most = 0;  // rows that a head has to encode
    for (int head = 0; head < shape_.kv_heads; ++head) {
      const std::size_t list = index(sequence, head);
      List& of = lists_[list];
      const int old_values = has_values_ ? std::max(of.rows() - format_.residual, 0) : 0;
      const int old_keys = std::max(of.rows() - format_.residual, 0) / format_.group * format_.group;
      parts_.key_codes.grow(list, old_keys);
      parts_.value_codes.grow(list, old_values);
      most = std::max({most, old_keys - of.coded_keys, old_values - of.coded_values});
    }
    for_heads(most, [&](int head) {
      encode_keys(index(sequence, head));
      if (has_values_) encode_values(index(sequence, head));
    });
    for (int head = 0; head < shape_.kv_heads; ++head) {
      const std::size_t list = index(sequence, head);
      parts_.plain_keys.release_front(list, lists_[list].coded_keys);
      if (has_values_) parts_.plain_values.release_front(list, lists_[list].coded_values);
    }
  }

  KvTile tile(int sequence, int kv_head, int tile_index, TileScratch& scratch) const noexcept override {
    const std::size_t list = index(sequence, kv_head);
    const int first = tile_index * kTileRows;
    const int rows = std::min(kTileRows, lists_[list].rows() - first);
    KvTile tile;
    tile.positions = std::span(lists_[list].positions).subspan(first, rows);
    for (const Position position : tile.positions) tile.range.include(position);
    const int next = first + kTileRows;
    parts_.key_codes.prefetch(list, next, std::clamp(lists_[list].coded_keys - next, 0, kTileRows));
    parts_.value_codes.prefetch(list, next, std::clamp(lists_[list].coded_values - next, 0, kTileRows));
    const float* keys = key_tile(list, first, rows, scratch.keys.data());
    const float* values = scratch.values.data();
    if (has_values_)
      values = value_tile(list, first, rows, scratch.values.data());
    else
      transpose_tile(keys, kTileRows, shape_.value_dim, rows, scratch.values.data(), shape_.value_dim);
    tile.keys = {keys, {rows, shape_.key_dim}, {1, kTileRows}};
    tile.values = {values, {rows, shape_.value_dim}};
    return tile;
  }

  std::size_t bytes() const noexcept override {
    std::size_t sum =
        parts_.plain_keys.bytes() + parts_.plain_values.bytes() + parts_.key_codes.bytes() + parts_.value_codes.bytes();
    for (const List& list : lists_) sum += list.positions.size() * sizeof(Position);
    return sum;
  }

  void save(int sequence, StateWriter& to) const override {
    for (int head = 0; head < shape_.kv_heads; ++head) {
      const std::size_t list = index(sequence, head);
      to.put_all(lists_[list].positions);
      to.put(lists_[list].coded_keys);
      to.put(lists_[list].coded_values);
      for (const PanelRows* part : parts_.all()) part->save(list, to);
    }
  }

  void restore(int sequence, StateReader& from) override {
    clear(sequence);
    for (int head = 0; head < shape_.kv_heads; ++head) {
      const std::size_t list = index(sequence, head);
      from.get_all(lists_[list].positions);
      lists_[list].coded_keys = from.get<int>();
      lists_[list].coded_values = from.get<int>();
      for (const int coded : {lists_[list].coded_keys, lists_[list].coded_values})
        if (coded < 0 || coded > lists_[list].rows())
          throw Error("", "the state is that of another storage", "restore rows that were made alike");
      for (PanelRows* part : parts_.all()) part->restore(list, from);
    }
  }

 private:
  struct List {  // one (sequence, kv head)
    std::vector<Position> positions;
    int coded_keys = 0;    // rows below have key codes, the others are plain; whole groups
    int coded_values = 0;  // the same for values
    [[nodiscard]] int rows() const noexcept { return static_cast<int>(positions.size()); }
  };

  std::size_t index(int sequence, int head) const noexcept {
    return static_cast<std::size_t>(sequence) * shape_.kv_heads + head;
  }
  void forget(std::size_t list) {
    for (PanelRows* part : parts_.all()) part->clear(list);
    lists_[list].positions.clear();
    lists_[list].coded_keys = lists_[list].coded_values = 0;
  }

  // In parallel where there is enough to do for each head.
  template <class Body>
  void for_heads(int rows, const Body& body) const {
    if (rows >= kTileRows) {
      parallel_for(shape_.kv_heads, [&](int head, WorkerSlot) { body(head); });
    } else {
      for (int head = 0; head < shape_.kv_heads; ++head) body(head);
    }
  }

  void encode_keys(std::size_t list) {
    List& of = lists_[list];
    thread_local std::vector<float> channels;  // [key_dim, group]
    channels.resize(static_cast<std::size_t>(shape_.key_dim) * format_.group);
    for (; of.coded_keys + format_.group + format_.residual <= of.rows(); of.coded_keys += format_.group) {
      parts_.plain_keys.load(list, of.coded_keys, format_.group, channels.data(), format_.group);
      for (int channel = 0; channel < shape_.key_dim; ++channel)
        parts_.key_codes.panel().store(parts_.key_codes.cell(list, of.coded_keys), channel,
                                       channels.data() + static_cast<std::int64_t>(channel) * format_.group);
    }
  }

  void encode_values(std::size_t list) {
    List& of = lists_[list];
    thread_local std::vector<float> value;  // [value_dim]
    value.resize(shape_.value_dim);
    for (; of.coded_values + format_.residual < of.rows(); ++of.coded_values) {
      parts_.plain_values.load(list, of.coded_values, 1, value.data(), shape_.value_dim);
      parts_.value_codes.store(list, of.coded_values, value.data());
    }
  }

  // [key_dim, kTileRows]
  const float* key_tile(std::size_t list, int first, int rows, float* scratch) const noexcept {
    const int coded = std::clamp(lists_[list].coded_keys - first, 0, rows);
    if (coded == 0)
      if (const float* tile = parts_.plain_keys.in_place(list, first)) return tile;
    parts_.key_codes.for_each_piece(list, first, coded, [&](const std::byte* group, int token, int tokens, int done) {
      parts_.key_codes.panel().load_columns(group, token, tokens, scratch + done, kTileRows);
    });
    parts_.plain_keys.load(list, first + coded, rows - coded, scratch + coded, kTileRows);
    return scratch;
  }

  // [rows, value_dim]
  const float* value_tile(std::size_t list, int first, int rows, float* scratch) const noexcept {
    const int coded = std::clamp(lists_[list].coded_values - first, 0, rows);
    if (coded == 0)
      if (const float* tile = parts_.plain_values.in_place(list, first)) return tile;
    const int width = shape_.value_dim;
    parts_.value_codes.load(list, first, coded, scratch, width);
    parts_.plain_values.load(list, first + coded, rows - coded, scratch + static_cast<std::int64_t>(coded) * width,
                             width);
    return scratch;
  }

  KiviFormat format_;
  KvShape shape_;
  bool has_values_;
  std::vector<List> lists_;  // [sequences x kv_heads]
  Parts parts_;
};

}  // namespace

std::unique_ptr<KvRows> kivi_rows(const KiviFormat& format, int page, const KvShape& shape, int sequences,
                                  int capacity) {
  return std::make_unique<KiviRows>(format, page, shape, sequences, capacity);
}

double kivi_row_bytes(const KiviFormat& format, int page, const KvShape& shape) {
  const Parts parts(format, page, shape, 0, 0);
  const double values = shape.value_is_key_prefix ? 0 : parts.value_codes.row_bytes();
  return parts.key_codes.row_bytes() + values + sizeof(Position);
}

}  // namespace attnlab
