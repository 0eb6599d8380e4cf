#include "core/seen_pairs.h"

#include <algorithm>
#include <array>
#include <limits>
#include <vector>

#include "core/query_block.h"

namespace attnlab {
namespace {

constexpr float kLowest = -std::numeric_limits<float>::infinity();

// One sequence and kv head.
class Counter {
 public:
  Counter(const AttendArgs& args, int sequence, int kv_head, Scratch& scratch)
      : args_(args),
        sequence_(sequence),
        kv_head_(kv_head),
        group_(static_cast<int>(args.queries.extent(1)) / args.source.shape().kv_heads) {
    const KvShape shape = args.source.shape();
    room_.keys = scratch.floats(static_cast<std::int64_t>(padded(shape.key_dim)) * kTileRows);
    room_.values = scratch.floats(static_cast<std::int64_t>(padded(shape.value_dim)) * kTileRows);
    room_.positions = positions_;
    select(scratch);
  }

  void count(SeenPairs& seen) {
    for (int index = 0; index < args_.source.tiles(sequence_, kv_head_); ++index) {
      const KvTile tile = args_.source.tile(sequence_, kv_head_, index, room_);
      std::array<bool, kTileRows> is_seen{};
      for (int query = 0; query < args_.chunk.tokens_of(sequence_); ++query)
        for (int member = 0; member < group_; ++member)
          if (reads(query, member, index)) count_row(query, member, tile, is_seen, seen);
      seen.rows += static_cast<double>(std::count(is_seen.begin(), is_seen.begin() + tile.rows(), true));
    }
  }

 private:
  // Which tiles each query head reads, where the source selects.
  void select(Scratch& scratch) {
    const TileSelector* selector = args_.source.selector();
    if (selector == nullptr || !selector->selects(args_.chunk, sequence_)) return;
    const int queries = args_.chunk.tokens_of(sequence_);
    tiles_ = args_.source.tiles(sequence_, kv_head_);
    reads_.assign(static_cast<std::size_t>(queries) * group_ * tiles_, 0);
    AttendArgs unscaled = args_;
    unscaled.scale = 1;
    const QueryBlock block(unscaled, {sequence_, kv_head_, 0, queries}, scratch);
    selector->select({.sequence = sequence_,
                      .kv_head = kv_head_,
                      .first_token = args_.chunk.first(sequence_),
                      .positions = args_.chunk.positions_of(sequence_)},
                     block.packed(), {reads_.data(), {queries, group_, tiles_}});
  }
  [[nodiscard]] bool reads(int query, int member, int tile) const {
    return reads_.empty() || reads_[(query * group_ + member) * tiles_ + tile] != 0;
  }

  void count_row(int query, int member, const KvTile& tile, std::span<bool> is_seen, SeenPairs& seen) {
    const Position position = std::min(args_.chunk.positions_of(sequence_)[query], tile.query_cap);
    const int token = args_.chunk.first(sequence_) + query;
    const int head = kv_head_ * group_ + member;
    const MaskPlace where{.queries = {position, position},
                          .keys = tile.range,
                          .sequence = sequence_,
                          .first_token = token,
                          .kv_head = kv_head_,
                          .first_head = head};
    std::array<float, kTileRows> scores{};
    bool is_full = true;
    ScoreTile one{.scores = {scores.data(), {1, 1, tile.rows()}},
                  .query_positions = {&position, 1},
                  .key_positions = tile.positions,
                  .first_head = head,
                  .sequence = sequence_,
                  .first_token = token};
    for (const MaskRule* mask : {&args_.mask, args_.source.visibility(sequence_)}) {
      if (mask == nullptr) continue;
      const MaskRule::Cover cover = mask->cover(where);
      if (cover == MaskRule::Cover::none) return;
      if (cover == MaskRule::Cover::full) continue;
      is_full = false;
      mask->mask(one);
    }
    if (is_full) {
      seen.pairs += tile.rows();
      std::fill_n(is_seen.begin(), tile.rows(), true);
      return;
    }
    for (int row = 0; row < tile.rows(); ++row)
      if (scores[row] != kLowest) {
        seen.pairs += 1;
        is_seen[row] = true;
      }
  }

  const AttendArgs& args_;
  int sequence_, kv_head_, group_;
  int tiles_ = 0;
  std::vector<std::uint8_t> reads_;  // [queries, group, tiles] or empty: all are read
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
