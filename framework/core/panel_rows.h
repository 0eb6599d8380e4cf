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

#include "core/block_pool.h"
#include "core/panel.h"

namespace attnlab {

struct PageLayout {
  int page_rows = kTileRows;
  int cell_rows = kTileRows;

  /// Rows of a page as the user asked for them; 0: nobody asked, a page is a tile.
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
  /// The panel is of one cell. `capacity`: rows that a list may reach, 0: not known.
  PanelRows(const Panel& panel, PageLayout layout, std::size_t lists, int capacity);

  /// Room for so many rows.
  void grow(std::size_t list, int rows);
  /// Gives back the pages behind `rows`. One that will soon be needed again keeps its memory, at most one a list.
  void shrink(std::size_t list, int rows, bool needed_again);
  /// Gives back the pages before `row`, which nobody reads again.
  void release_front(std::size_t list, int row);
  /// Takes all pages from the list; their memory is kept for the next.
  void clear(std::size_t list);
  /// All pages of the list as they are; back into an empty list.
  void save(std::size_t list, StateWriter& to) const;
  void restore(std::size_t list, StateReader& from);

  void store(std::size_t list, int row, const float* vector);
  void copy(std::size_t list, int from_row, int to_row);
  /// Rows first .. first + count, as Panel::load.
  void load(std::size_t list, int first, int count, float* to, std::int64_t stride) const noexcept;
  /// Starts to fetch codes that are read soon: those of a tile are too few for the hardware to see where they go. Wider
  /// rows are left to it.
  void prefetch(std::size_t list, int first, int count) const noexcept;
  /// The tile that begins at this row as it stands, null if it does not stand as a tile of f32.
  [[nodiscard]] const float* in_place(std::size_t list, int first) const noexcept;
  /// The tile of `rows` that begins at this row as 8-bit codes, null if it has none: in place, or put together in
  /// `room` [width x kTileRows], so that the layout of pages changes no bit of what is computed with it.
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

  [[nodiscard]] std::size_t bytes() const noexcept { return pool_.bytes(); }
  /// Of a list of so many rows.
  [[nodiscard]] double list_bytes(int rows) const noexcept {
    return static_cast<double>(layout_.page_bytes(panel_.bytes())) * layout_.pages(rows);
  }
  /// Of a row in a full page.
  [[nodiscard]] double row_bytes() const noexcept {
    return static_cast<double>(layout_.page_bytes(panel_.bytes())) / layout_.page_rows;
  }

 private:
  struct List {
    std::vector<float*> pages;  // null where given back from the front
    int released = 0;           // so many of them
  };
  [[nodiscard]] int row_in_cell(int row) const noexcept { return row % layout_.page_rows % layout_.cell_rows; }

  Panel panel_;
  PageLayout layout_;
  std::vector<List> lists_;
  BlockPool pool_;
};

}  // namespace attnlab
