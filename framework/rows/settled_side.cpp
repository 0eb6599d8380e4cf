// Rows of which the newest are held as they are and older ones as codes, row by row or in groups that share scales
// (KIVI, Liu et al. 2024). Rows become codes only where the cache settles, each of them once, so a prompt is answered
// with its rows as they are. The authors flush all residual key rows at once whenever that many have gathered; here a
// group goes as soon as it is complete and old enough, and the codes are the same.
#include <algorithm>
#include <vector>

#include <attnlab/error.h>

#include "rows/panel_rows.h"
#include "rows/side_rows.h"
#include "tiles/tile_kernels.h"

namespace attnlab {
namespace {

// Working memory of a thread.
float* buffer(std::size_t floats) {
  thread_local std::vector<float> memory;
  if (memory.size() < floats) memory.resize(floats);
  return memory.data();
}

bool is_by_channel(const SideFormat& format, const SideCodec& codec) {
  return format.order == SideOrder::by_channel && (codec.groups != nullptr || Panel::can_be_by_channel(*codec.rows));
}

Panel::Order order_of(const SideFormat& format, const SideCodec& codec) {
  return is_by_channel(format, codec) ? Panel::Order::by_channel : Panel::Order::by_row;
}

PanelRows plain_rows(const SideFormat& format, const SideCodec& codec) {
  const PageLayout layout = PageLayout::of_rows(format.page);
  return {Panel::plain(order_of(format, codec), layout.cell_rows, format.width), layout, format.lists, format.capacity};
}

// A cell of groups is one group.
PanelRows coded_rows(const SideFormat& format, const SideCodec& codec) {
  if (codec.groups == nullptr) {
    const PageLayout layout = PageLayout::of_rows(format.page);
    return {Panel(*codec.rows, order_of(format, codec), layout.cell_rows, format.width), layout, format.lists,
            format.capacity};
  }
  const int group = codec.groups->rows();
  return {Panel::of_bytes(codec.groups->bytes()), PageLayout::of_groups(format.page, group), format.lists,
          format.capacity};
}

class SettledSide final : public SideRows {
 public:
  SettledSide(const SideFormat& format, SideCodec codec, int residual)
      : codec_(std::move(codec)),
        residual_(residual),
        group_(codec_.groups == nullptr ? 1 : codec_.groups->rows()),
        width_(format.width),
        by_channel_(is_by_channel(format, codec_)),
        plain_(plain_rows(format, codec_)),
        codes_(coded_rows(format, codec_)),
        coded_(format.lists) {}

  void grow(std::size_t list, int from, int to) override { plain_.grow(list, from, to); }
  void store(std::size_t list, int row, TensorView<const float, 2> vectors) override {
    plain_.store(list, row, vectors);
  }
  bool has_single_rows() const noexcept override { return false; }
  void copy(std::size_t, int, int) override { ATTNLAB_CHECK(false, "rows of groups do not move"); }
  void replace(std::size_t, int, std::span<const float>) override {
    ATTNLAB_CHECK(false, "rows of groups are not replaced");
  }
  void shrink(std::size_t list, int rows, bool needed_again) override { plain_.shrink(list, rows, needed_again); }
  bool can_truncate(std::size_t list, int rows) const noexcept override { return coded_[list] <= settled_of(rows); }
  void clear(std::size_t list) override {
    plain_.clear(list);
    codes_.clear(list);
    coded_[list] = 0;
  }
  void fork(std::size_t from, std::size_t to) override {
    plain_.fork(from, to);
    codes_.fork(from, to);
    coded_[to] = coded_[from];
  }

  int prepare_settling(std::size_t list, int rows) override {
    codes_.grow(list, coded_[list], settled_of(rows));
    return settled_of(rows) - coded_[list];
  }
  void settle(std::size_t list, int rows) override {
    if (codec_.groups == nullptr)
      encode_rows(list, settled_of(rows));
    else
      encode_groups(list, settled_of(rows));
  }
  void finish_settling(std::size_t list) override { plain_.release_front(list, coded_[list]); }

  SideTile tile(std::size_t list, int first, int count, int, std::span<float> room, bool) const noexcept override {
    const int next = first + kTileRows;
    codes_.prefetch(list, next, std::clamp(coded_[list] - next, 0, kTileRows));
    const int coded = std::clamp(coded_[list] - first, 0, count);
    const float* tile = coded == 0 ? plain_.in_place(list, first) : nullptr;
    if (tile == nullptr) {
      decode(list, first, coded, room.data());
      const std::int64_t stride = by_channel_ ? kTileRows : width_;
      plain_.load(list, first + coded, count - coded, room.data() + coded * (by_channel_ ? 1 : stride), stride);
      tile = room.data();
    }
    if (!by_channel_) return {{tile, {count, width_}}, {}};
    return {{tile, {count, width_}, {1, kTileRows}}, {}};
  }

  std::size_t bytes() const noexcept override { return plain_.bytes() + codes_.bytes(); }
  double row_bytes() const noexcept override { return codes_.row_bytes(); }
  // Rows that wait for their group are held as they are: a bound for all of them.
  double list_bytes(int rows) const noexcept override {
    return std::max(codes_.row_bytes(), plain_.row_bytes()) * rows;
  }

  void save(std::size_t list, StateWriter& to) const override {
    to.put(coded_[list]);
    plain_.save(list, to);
    codes_.save(list, to);
  }
  void restore(std::size_t list, int rows, StateReader& from) override {
    coded_[list] = from.get<int>();
    if (coded_[list] < 0 || coded_[list] > rows)
      throw Error("", "the state is that of another storage", "restore rows that were made alike");
    plain_.restore(list, from);
    codes_.restore(list, from);
  }

 private:
  // Of so many rows, those that are old enough to be codes: whole groups.
  [[nodiscard]] int settled_of(int rows) const noexcept { return std::max(rows - residual_, 0) / group_ * group_; }

  void encode_rows(std::size_t list, int end) {
    float* vector = buffer(width_);
    for (int& row = coded_[list]; row < end; ++row) {
      plain_.load(list, row, 1, vector, by_channel_ ? 1 : width_);
      codes_.store(list, row, {vector, {1, width_}});
    }
  }

  void encode_groups(std::size_t list, int end) {
    const auto numbers = static_cast<std::size_t>(width_) * group_;
    float* channels = buffer(2 * numbers);
    for (int& row = coded_[list]; row < end; row += group_) {
      float* loaded = by_channel_ ? channels : channels + numbers;
      plain_.load(list, row, group_, loaded, by_channel_ ? group_ : width_);
      if (!by_channel_) transpose_tile(loaded, width_, group_, width_, channels, group_);
      codec_.groups->encode(channels, codes_.cell(list, row));
    }
  }

  // Rows first .. first + count, all of them codes, as the tile has them.
  void decode(std::size_t list, int first, int count, float* to) const noexcept {
    if (codec_.groups == nullptr) return codes_.load(list, first, count, to, by_channel_ ? kTileRows : width_);
    float* channels = by_channel_ ? to : buffer(static_cast<std::size_t>(width_) * kTileRows);
    codes_.for_each_piece(list, first, count, [&](const std::byte* group, int row, int rows, int done) {
      codec_.groups->decode(group, row, rows, channels + done, kTileRows);
    });
    if (!by_channel_) transpose_tile(channels, kTileRows, width_, count, to, width_);
  }

  SideCodec codec_;
  int residual_;
  int group_;  // rows that become codes together
  int width_;
  bool by_channel_;
  PanelRows plain_;
  PanelRows codes_;
  std::vector<int> coded_;  // [lists] rows below are codes, the others are plain; whole groups
};

}  // namespace

std::unique_ptr<SideRows> settled_side(const SideFormat& format, SideCodec codec, int residual) {
  return std::make_unique<SettledSide>(format, std::move(codec), residual);
}

}  // namespace attnlab
