#include "core/seen_pairs.h"

#include <algorithm>
#include <array>
#include <limits>
#include <vector>

#include <attnlab/scratch.h>

namespace attnlab {
namespace {

constexpr float kLowest = -std::numeric_limits<float>::infinity();
constexpr int kVector = 16;  // values are given room in whole vectors

// One sequence and kv head.
class Counter {
 public:
  Counter(const AttendArgs& args, int sequence, int kv_head, Scratch& scratch)
      : args_(args),
        sequence_(sequence),
        kv_head_(kv_head),
        group_(static_cast<int>(args.queries.extent(1)) / args.source.shape().kv_heads),
        queries_(args.chunk.tokens_of(sequence)),
        visibility_(args.source.visibility(sequence)) {
    const KvShape shape = args.source.shape();
    room_.keys = scratch.floats(static_cast<std::int64_t>(shape.key_dim + kVector) * kTileRows);
    room_.values = scratch.floats(static_cast<std::int64_t>(shape.value_dim + kVector) * kTileRows);
    room_.positions = positions_;
    room_.takes_codes = true;  // only positions are looked at
    select();
  }

  void count(SeenPairs& seen) {
    for (int index = 0; index < args_.source.tiles(sequence_, kv_head_); ++index) {
      const KvTile tile = args_.source.tile(sequence_, kv_head_, index, room_);
      is_seen_.fill(false);
      count_tile(index, tile, seen);
      seen.rows += static_cast<double>(std::count(is_seen_.begin(), is_seen_.begin() + tile.rows(), true));
    }
  }

 private:
  // Which tiles each query head reads, where the source selects.
  void select() {
    const TileSelector* selector = args_.source.selector();
    if (selector == nullptr || !selector->selects(args_.chunk, sequence_)) return;
    const KvShape shape = args_.source.shape();
    const std::span<const Position> positions = args_.chunk.positions_of(sequence_);
    const int first = args_.chunk.first(sequence_);
    std::vector<float> rows;  // [queries, group, key_dim], as the keys are stored
    rows.reserve(static_cast<std::size_t>(queries_) * group_ * shape.key_dim);
    for (int query = 0; query < queries_; ++query)
      for (int member = 0; member < group_; ++member)
        for (int i = 0; i < shape.key_dim; ++i)
          rows.push_back(args_.queries(first + query, kv_head_ * group_ + member, i));
    const TensorView<float, 3> view(rows.data(), {queries_, group_, shape.key_dim});
    if (args_.rotation != nullptr)
      rotate_columns(*args_.rotation, {positions, args_.chunk.lengths[sequence_], RotateSide::query}, shape, view);
    tiles_ = args_.source.tiles(sequence_, kv_head_);
    reads_.assign(static_cast<std::size_t>(queries_) * group_ * tiles_, 0);
    selector->select({.sequence = sequence_, .kv_head = kv_head_, .first_token = first, .positions = positions}, view,
                     {reads_.data(), {queries_, group_, tiles_}});
  }
  [[nodiscard]] bool reads(int query, int member, int tile) const {
    return reads_.empty() || reads_[(query * group_ + member) * tiles_ + tile] != 0;
  }

  // By both masks, of neighbouring queries and members.
  [[nodiscard]] MaskRule::Cover cover(const KvTile& tile, int query, int queries, int member, int members) const {
    const std::span<const Position> positions = args_.chunk.positions_of(sequence_);
    const MaskPlace place{.queries = {std::min(positions[query], tile.query_cap),
                                      std::min(positions[query + queries - 1], tile.query_cap)},
                          .keys = tile.range,
                          .sequence = sequence_,
                          .first_token = args_.chunk.first(sequence_) + query,
                          .tokens = queries,
                          .kv_head = kv_head_,
                          .first_head = kv_head_ * group_ + member,
                          .heads = members};
    bool is_full = true;
    for (const MaskRule* mask : {&args_.mask, visibility_}) {
      if (mask == nullptr) continue;
      const MaskRule::Cover cover = mask->cover(place);
      if (cover == MaskRule::Cover::none) return cover;
      is_full = is_full && cover == MaskRule::Cover::full;
    }
    return is_full ? MaskRule::Cover::full : MaskRule::Cover::partial;
  }

  // Where a mask covers a whole tile, its answer is used; so most tiles of a long context cost one call.
  void count_tile(int index, const KvTile& tile, SeenPairs& seen) {
    if (reads_.empty() && take(cover(tile, 0, queries_, 0, group_), queries_ * group_, tile, seen)) return;
    for (int query = 0; query < queries_; ++query) {
      if (reads_.empty() && take(cover(tile, query, 1, 0, group_), group_, tile, seen)) continue;
      for (int member = 0; member < group_; ++member)
        if (reads(query, member, index) && !take(cover(tile, query, 1, member, 1), 1, tile, seen))
          count_rows(tile, query, member, seen);
    }
  }

  // Whether the cover says it all.
  bool take(MaskRule::Cover cover, int query_heads, const KvTile& tile, SeenPairs& seen) {
    if (cover != MaskRule::Cover::full) return cover == MaskRule::Cover::none;
    seen.pairs += static_cast<double>(query_heads) * tile.rows();
    std::fill_n(is_seen_.begin(), tile.rows(), true);
    return true;
  }

  // One query head and a tile that it sees in part.
  void count_rows(const KvTile& tile, int query, int member, SeenPairs& seen) {
    const int token = args_.chunk.first(sequence_) + query;
    const Position position = std::min(args_.chunk.positions[token], tile.query_cap);
    std::array<float, kTileRows> scores{};
    ScoreTile one{.scores = {scores.data(), {1, 1, tile.rows()}},
                  .query_positions = {&position, 1},
                  .key_positions = tile.positions,
                  .first_head = kv_head_ * group_ + member,
                  .sequence = sequence_,
                  .first_token = token};
    const MaskPlace place{.queries = {position, position},
                          .keys = tile.range,
                          .sequence = sequence_,
                          .first_token = token,
                          .kv_head = kv_head_,
                          .first_head = one.first_head};
    for (const MaskRule* mask : {&args_.mask, visibility_})
      if (mask != nullptr && mask->cover(place) == MaskRule::Cover::partial) mask->mask(one);
    for (int row = 0; row < tile.rows(); ++row)
      if (scores[row] != kLowest) {
        seen.pairs += 1;
        is_seen_[row] = true;
      }
  }

  const AttendArgs& args_;
  int sequence_, kv_head_, group_, queries_;
  const MaskRule* visibility_;
  int tiles_ = 0;
  std::vector<std::uint8_t> reads_;  // [queries, group, tiles] or empty: all are read
  std::array<bool, kTileRows> is_seen_{};
  std::array<Position, kTileRows> positions_;
  TileScratch room_;
};

}  // namespace

SeenPairs count_seen(const AttendArgs& args) {
  SeenPairs seen;
  for (int sequence = 0; sequence < args.chunk.sequences(); ++sequence) {
    if (args.chunk.tokens_of(sequence) == 0) continue;
    for (int kv_head = 0; kv_head < args.source.shape().kv_heads; ++kv_head) {
      Scratch scratch;
      Counter(args, sequence, kv_head, scratch).count(seen);
    }
  }
  return seen;
}

}  // namespace attnlab
