// Growing lists of vectors, one list a (sequence, kv head), all held by the same codec in pages of one pool. A page is
// got and given back as one and holds cells, whose rows stand in one panel. Pages of whole tiles have cells of a tile,
// so that f32 can be read in place; other pages are one cell, and a tile is put together from pieces. Not here: what is
// a key and what a value, and the positions of rows.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include <attnlab/core.h>
#include <attnlab/state.h>

#include "rows/block_pool.h"
#include "rows/panel.h"

namespace attnlab {

struct PageLayout {
  int page_rows = kTileRows;
  int cell_rows = kTileRows;

  /// Rows of a page as the user asked for them; 0: not given, and a page is a tile.
  static PageLayout of_rows(int page) {
    return {page > 0 ? page : kTileRows, page % kTileRows == 0 ? kTileRows : page};
  }
  /// The same for rows that belong together in groups, each of them a cell: whole groups, at least one.
  static PageLayout of_groups(int page, int group) {
    const int rows = page > 0 ? page : kTileRows;
    return {(rows + group - 1) / group * group, group};
  }
  [[nodiscard]] int pages(int rows) const noexcept { return (rows + page_rows - 1) / page_rows; }
  /// Of panels of `cell_bytes`, as a pool hands them out.
  [[nodiscard]] std::size_t page_bytes(std::size_t cell_bytes) const noexcept {
    return (static_cast<std::size_t>(page_rows / cell_rows) * cell_bytes + 63) / 64 * 64;
  }
};

class PanelRows {
 public:
  /// The panel is of one cell. `capacity`: rows that a list may reach, 0: not known. follower: see below; null: none.
  PanelRows(const Panel& panel, PageLayout layout, std::size_t lists, int capacity, const Panel* follower = nullptr);
  /// Rows that come, move and go with those of the leader, which was made for them: they stand after the leader's in
  /// its pages, so that the keys and values of a tile are read in one stream, and the leader does what is done to
  /// pages.
  PanelRows(const Panel& panel, PanelRows& leader);

  /// Room for `to` rows where there are `from`, in pages that are the list's own from row `from` on.
  void grow(std::size_t list, int from, int to);
  /// Gives back the pages after `rows`. One that will soon be needed again keeps its memory, at most one a list.
  void shrink(std::size_t list, int rows, bool needed_again);
  /// Gives back the pages before `row`, which are not read again.
  void release_front(std::size_t list, int row);
  /// Takes all pages from the list; their memory is kept for the next.
  void clear(std::size_t list);
  /// Shares the pages of one list with another, which is empty; a list that changes a page then gets its own copy.
  void fork(std::size_t from, std::size_t to);
  /// Makes the page of this row the list's own.
  void own(std::size_t list, int row);
  /// All pages of the list as they are; back into an empty list.
  void save(std::size_t list, StateWriter& to) const;
  void restore(std::size_t list, StateReader& from);

  /// vectors [count, width], the last axis dense, as rows from `row` on, in pages of the list's own.
  void store(std::size_t list, int row, TensorView<const float, 2> vectors);
  void copy(std::size_t list, int from_row, int to_row);
  /// Rows first .. first + count, as Panel::load.
  void load(std::size_t list, int first, int count, float* to, std::int64_t stride) const noexcept;
  /// Starts to fetch codes that are read soon: those of a tile are too few for the hardware to see where they go. Wider
  /// rows are left to it.
  void prefetch(std::size_t list, int first, int count) const noexcept;
  /// The tile that begins at this row as it stands, null if it does not stand as a tile of f32.
  [[nodiscard]] const float* in_place(std::size_t list, int first) const noexcept;
  /// The tile of `rows` that begins at this row as its units stand, empty where a reader cannot compute with them: in
  /// place, or put together in `room` [width x kTileRows], so that the layout of pages changes no bit of what is
  /// computed with it.
  [[nodiscard]] CodedRows coded_tile(std::size_t list, int first, int rows, std::span<float> room) const noexcept;
  [[nodiscard]] bool has_whole_tiles() const noexcept { return layout_.cell_rows == kTileRows; }

  [[nodiscard]] const Panel& panel() const noexcept { return panel_; }
  [[nodiscard]] std::byte* cell(std::size_t list, int row) const noexcept;
  /// piece(cell, its first row, rows, how many rows came before) for rows first .. first + count, cell by cell.
  template <class Piece>
  void for_each_piece(std::size_t list, int first, int count, const Piece& piece) const {
    for (int done = 0; done < count;) {
      const int row = row_in_cell(first + done);
      const int rows = std::min(layout_.cell_rows - row, count - done);
      piece(cell(list, first + done), row, rows, done);
      done += rows;
    }
  }

  /// Those of a follower are its leader's.
  [[nodiscard]] std::size_t bytes() const noexcept { return pool_.bytes(); }
  /// Of a list of so many rows.
  [[nodiscard]] double list_bytes(int rows) const noexcept {
    return static_cast<double>(side_bytes()) * layout_.pages(rows);
  }
  /// Of a row in a full page.
  [[nodiscard]] double row_bytes() const noexcept { return static_cast<double>(side_bytes()) / layout_.page_rows; }

 private:
  template <class Unit>
  void gather(const Unit* from, int units, int row, int count, int done, Unit* to) const noexcept;
  struct List {
    std::vector<float*> pages;  // null where given back from the front
    int released = 0;           // so many of them
  };
  [[nodiscard]] int row_in_cell(int row) const noexcept { return row % layout_.page_rows % layout_.cell_rows; }

  [[nodiscard]] const List& of(std::size_t list) const noexcept {
    return leader_ == nullptr ? lists_[list] : leader_->lists_[list];
  }
  [[nodiscard]] std::size_t side_bytes() const noexcept { return layout_.page_bytes(panel_.bytes()); }

  Panel panel_;
  PageLayout layout_;
  PanelRows* leader_ = nullptr;
  std::size_t offset_ = 0;  // in a page of the leader
  std::size_t page_bytes_;  // the follower's part included
  std::vector<List> lists_;
  BlockPool pool_;
};

}  // namespace attnlab
