#include "rows/panel_rows.h"

#include <cstring>

#include <attnlab/error.h>

#include "tiles/tile_kernels.h"

namespace attnlab {

PanelRows::PanelRows(const Panel& panel, PageLayout layout, std::size_t lists, int capacity, const Panel* follower)
    : panel_(panel),
      layout_(layout),
      page_bytes_(side_bytes() + (follower == nullptr ? 0 : layout.page_bytes(follower->bytes()))),
      lists_(lists),
      pool_(page_bytes_, lists * static_cast<std::size_t>(layout.pages(capacity))) {
  for (List& list : lists_) list.pages.reserve(layout.pages(capacity));
}

PanelRows::PanelRows(const Panel& panel, PanelRows& leader)
    : panel_(panel),
      layout_(leader.layout_),
      leader_(&leader),
      offset_(leader.side_bytes()),
      page_bytes_(side_bytes()),
      pool_(page_bytes_, 0) {}

void PanelRows::grow(std::size_t list, int from, int to) {
  if (leader_ != nullptr) return;
  std::vector<float*>& pages = lists_[list].pages;
  if (from < to && from % layout_.page_rows != 0) own(list, from);
  while (static_cast<int>(pages.size()) < layout_.pages(to)) pages.push_back(pool_.acquire());
}

void PanelRows::own(std::size_t list, int row) {
  if (leader_ != nullptr) return leader_->own(list, row);
  float*& page = lists_[list].pages[row / layout_.page_rows];
  if (!pool_.is_shared(page)) return;
  float* copy = pool_.acquire();
  std::memcpy(copy, page, page_bytes_);
  pool_.release(page);
  page = copy;
}

void PanelRows::fork(std::size_t from, std::size_t to) {
  if (leader_ != nullptr) return;
  lists_[to].pages = lists_[from].pages;
  lists_[to].released = lists_[from].released;
  for (const float* page : lists_[to].pages)
    if (page != nullptr) pool_.share(page);
}

void PanelRows::shrink(std::size_t list, int rows, bool needed_again) {
  if (leader_ != nullptr) return;
  std::vector<float*>& pages = lists_[list].pages;
  for (; static_cast<int>(pages.size()) > layout_.pages(rows); pages.pop_back()) {
    if (needed_again && pool_.spare_blocks() < lists_.size())
      pool_.set_aside(pages.back());
    else
      pool_.release(pages.back());
  }
}

void PanelRows::release_front(std::size_t list, int row) {
  List& of = lists_[list];
  for (; (of.released + 1) * layout_.page_rows <= row; ++of.released) {
    pool_.release(of.pages[of.released]);
    of.pages[of.released] = nullptr;
  }
}

void PanelRows::clear(std::size_t list) {
  if (leader_ != nullptr) return;
  List& of = lists_[list];
  for (float* page : of.pages)
    if (page != nullptr) pool_.set_aside(page);
  of.pages.clear();
  of.released = 0;
}

void PanelRows::save(std::size_t list, StateWriter& to) const {
  if (leader_ != nullptr) return;
  const List& of = lists_[list];
  to.put(of.pages.size());
  to.put(of.released);
  for (const float* page : of.pages)
    if (page != nullptr) to.put_bytes({reinterpret_cast<const std::byte*>(page), page_bytes_});
}

void PanelRows::restore(std::size_t list, StateReader& from) {
  if (leader_ != nullptr) return;
  List& of = lists_[list];
  const auto pages = from.get<std::size_t>();
  of.released = from.get<int>();
  if (of.released < 0 || static_cast<std::size_t>(of.released) > pages)
    throw Error("", "the state is that of another storage", "restore rows that were made alike");
  of.pages.assign(of.released, nullptr);
  while (of.pages.size() < pages) {
    of.pages.push_back(pool_.acquire());
    from.get_bytes({reinterpret_cast<std::byte*>(of.pages.back()), page_bytes_});
  }
}

void PanelRows::store(std::size_t list, int row, TensorView<const float, 2> vectors) {
  const bool turns_tiles = panel_.is_f32() && panel_.order() == Panel::Order::by_channel && has_whole_tiles();
  const auto count = static_cast<int>(vectors.extent(0));
  for (int i = 0; i < count;) {
    if (turns_tiles && (row + i) % kTileRows == 0 && i + kTileRows <= count) {
      transpose_tile(&vectors(i, 0), vectors.stride(0), kTileRows, panel_.width(),
                     reinterpret_cast<float*>(cell(list, row + i)), kTileRows);
      i += kTileRows;
    } else {
      panel_.store(cell(list, row + i), row_in_cell(row + i), &vectors(i, 0));
      ++i;
    }
  }
}

void PanelRows::copy(std::size_t list, int from_row, int to_row) {
  own(list, to_row);
  panel_.copy(cell(list, from_row), row_in_cell(from_row), cell(list, to_row), row_in_cell(to_row));
}

void PanelRows::load(std::size_t list, int first, int count, float* to, std::int64_t stride) const noexcept {
  const std::int64_t step = panel_.order() == Panel::Order::by_row ? stride : 1;  // from row to row
  for_each_piece(list, first, count, [&](const std::byte* cell, int row, int rows, int done) {
    panel_.load(cell, row, rows, to + done * step, stride);
  });
}

void PanelRows::prefetch(std::size_t list, int first, int count) const noexcept {
  if (!panel_.is_codes() || layout_.cell_rows > kTileRows) return;
  constexpr int kToSecondLevel = 2;
  for_each_piece(list, first, count, [&](const std::byte* cell, int, int, int) {
    for (std::size_t byte = 0; byte < panel_.bytes(); byte += 64) __builtin_prefetch(cell + byte, 0, kToSecondLevel);
  });
}

const float* PanelRows::in_place(std::size_t list, int first) const noexcept {
  const bool is_tile = panel_.is_f32() && has_whole_tiles() && first % kTileRows == 0;
  return is_tile ? reinterpret_cast<const float*>(cell(list, first)) : nullptr;
}

CodedRows PanelRows::coded_tile(std::size_t list, int first, int rows, std::span<float> room) const noexcept {
  const CodedRows in_place = panel_.coded(cell(list, first));
  if (in_place.empty() || panel_.width() < 2) return {};  // the room would be too small
  if (has_whole_tiles()) return in_place;
  const int width = panel_.width();
  float* const scales = room.data();
  if (in_place.bf16 != nullptr) {
    auto* to = reinterpret_cast<std::uint16_t*>(room.data());
    for_each_piece(list, first, rows, [&](const std::byte* from, int row, int count, int done) {
      gather(panel_.coded(from).bf16, width, row, count, done, to);
    });
    return {.bf16 = to};
  }
  if (in_place.codes != nullptr) {
    auto* codes = reinterpret_cast<std::int8_t*>(scales + kTileRows);
    for_each_piece(list, first, rows, [&](const std::byte* from, int row, int count, int done) {
      const CodedRows part = panel_.coded(from);
      std::copy_n(part.scales + row, count, scales + done);
      gather(part.codes, width, row, count, done, codes);
    });
    return {.codes = codes, .scales = scales};
  }
  const std::int64_t groups = width / in_place.group;
  float* const minima = scales + groups * kTileRows;
  auto* nibbles = reinterpret_cast<std::uint8_t*>(minima + groups * kTileRows);
  for_each_piece(list, first, rows, [&](const std::byte* from, int row, int count, int done) {
    const CodedRows part = panel_.coded(from);
    for (std::int64_t group = 0; group < groups; ++group) {
      std::copy_n(part.scales + group * layout_.cell_rows + row, count, scales + group * kTileRows + done);
      std::copy_n(part.minima + group * layout_.cell_rows + row, count, minima + group * kTileRows + done);
    }
    gather(part.nibbles, width / 2, row, count, done, nibbles);
  });
  return {.nibbles = nibbles, .scales = scales, .minima = minima, .group = in_place.group};
}

// The `units` units of each of `count` rows of a cell from `row` on, as rows `done` and after it of a tile.
template <class Unit>
void PanelRows::gather(const Unit* from, int units, int row, int count, int done, Unit* to) const noexcept {
  if (panel_.order() == Panel::Order::by_row) {
    std::copy_n(from + std::int64_t{row} * units, std::int64_t{count} * units, to + std::int64_t{done} * units);
    return;
  }
  for (int unit = 0; unit < units; ++unit)
    std::copy_n(from + unit * layout_.cell_rows + row, count, to + unit * kTileRows + done);
}

std::byte* PanelRows::cell(std::size_t list, int row) const noexcept {
  auto* page = reinterpret_cast<std::byte*>(of(list).pages[row / layout_.page_rows]) + offset_;
  return page + static_cast<std::size_t>(row % layout_.page_rows / layout_.cell_rows) * panel_.bytes();
}

}  // namespace attnlab
