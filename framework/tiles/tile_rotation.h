// Keys that are rotated when they are read, in a tile that stands channel by channel and whose positions follow each
// other: the angles of row r are those of the first row and those of r put together. So a call needs the angles of 64
// offsets, which stay in a core's cache, and those of one position for each tile; the angles of every row are as many
// bytes as its key.
// Not here: other tiles, which are turned row by row (query_block), and other rotations.
#pragma once

#include <array>
#include <span>

#include <attnlab/api.h>
#include <attnlab/core.h>
#include <attnlab/position_scheme.h>
#include <attnlab/scratch.h>

#include "tiles/tile_kernels.h"

namespace attnlab {

class ATTNLAB_API TileRotation {
 public:
  /// For sequences of this length. What it needs lies in the scratch.
  TileRotation(const Rotation& rotation, const KvShape& shape, Position length, Scratch& scratch);

  /// The angles of a tile's first row, and room; of one reader of tiles. Those of the tile behind the last one are made
  /// of its angles.
  struct First {
    double* angles;  // [cosines, sines][pairs]
    float* rounded;  // the same
    float* queries;  // [rows, key_dim]
    Position position = 0;
    int turned = -1;  // since they were asked for; -1: never
  };
  [[nodiscard]] First make_first(Scratch& scratch) const;

  /// Whether a tile of these positions is turned here.
  [[nodiscard]] bool turns(std::span<const Position> positions) const noexcept;
  /// from, to [key_dim, kTileRows]: all channels, rotated or not. They may be the same.
  void turn(Position position, First& first, const float* from, float* to) const noexcept;
  /// Whether `multiply` takes so many rows of queries.
  [[nodiscard]] bool multiplies(int rows) const noexcept;
  /// product.a times the turned keys `from`, of all kTileRows rows; nothing accumulated.
  void multiply(Position position, First& first, const float* from, const TileProduct& product) const noexcept;

 private:
  // Up to so many rows of queries are multiplied with keys that are turned on the way; for more, turned keys are kept.
  static constexpr int kFewQueries = 4;
  static constexpr int kMostParts = 8;  // of a key, turned or not, that are multiplied in one go

  // The first of each pair is 1, rotated as a key at these positions; rows [positions, 1, rotated width].
  void rotate_ones(std::span<const Position> positions, TensorView<float, 3> rows) const noexcept;
  void find(Position position, First& first) const noexcept;
  void turn_back(const First& first, const float* query, float* to) const noexcept;
  // part(channel, count, is_turned) for all channels in ascending order.
  template <class Part>
  void for_each_part(const Part& part) const;

  const Rotation* rotation_;
  KvShape shape_;
  Position length_;
  int pairs_;
  int step_;                        // channels from a pair to the next
  int apart_;                       // and from the first of a pair to its second
  const float* offsets_ = nullptr;  // [pairs][cosines, sines][kTileRows]
  const float* of_tile_ = nullptr;  // [cosines, sines][pairs], from a tile to the next
};

}  // namespace attnlab
