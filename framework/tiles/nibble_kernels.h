// Products with a tile of 4-bit codes as they stand (CodedRows::nibbles): decoding them into numbers first takes longer
// than reading f32 rows would. Scales and minima are applied to sums over a group, not to each number.
#pragma once

#include <attnlab/core.h>

#include "tiles/tile_kernels.h"

namespace attnlab {

/// out [rows, kTileRows] = a [rows, depth] keys', keys channel by channel; a whole number of groups. `product.b` is not
/// looked at, all columns are computed.
void nibble_scores(const TileProduct& product, const CodedRows& keys);
/// out [rows, columns] += a [rows, depth] values, values row by row; columns are a multiple of 32, as is the group.
void add_nibble_values(const TileProduct& product, const CodedRows& values);

}  // namespace attnlab
