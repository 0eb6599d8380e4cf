// The mass that rows received in one call of `attend`, for a source with a MassSink. A softmax is known only at its
// end: where a block has few queries (decode), its scores are kept until then; where it has many, its tiles are scored
// a second time. Blocks write to buffers of their own, summed in block order: the result does not depend on the number
// of threads. Nothing is allocated or computed where there is no sink.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "core/attend.h"
#include "core/query_block.h"

namespace attnlab {

/// 1 / (sum of exp(score - maximum), the sink logit's part included); 0 where nothing is seen.
[[nodiscard]] float share_of_sum(float maximum, float sum, std::span<const float> sink_logits, int head);

/// The logarithm of that sum; -infinity where nothing is seen.
[[nodiscard]] float log_of_sum(float maximum, float sum, std::span<const float> sink_logits, int head);

class AttendMass {
 public:
  AttendMass(const AttendArgs& args, int group);

  /// Index of the block for the calls below; -1 where none of its queries counts.
  [[nodiscard]] int plan(const QueryRange& range, int tiles);
  /// The same for a block whose weights will be there, for `add_weights` alone.
  [[nodiscard]] int plan_weights(const QueryRange& range, int tiles) { return add_block(range, tiles, false); }
  void allocate(Scratch& scratch);

  /// The scores of a tile, before they become weights. Tiles of one block may come from several tasks.
  void keep(int block, int tile, const KvTile& rows, const TileScores& scored);
  /// After a block's last tile, in the task of the block.
  void observe(int block, QueryBlock& queries);
  /// Weights [rows of the block, tile's rows], rows `stride` apart.
  void add_weights(int block, int tile, const KvTile& rows, const float* weights, std::int64_t stride);
  /// After a block's last tile, where its parts were merged.
  void observe_merged(int block, const BlockResult& result);
  /// All blocks are there: one call of the sink for every sequence and kv head.
  void deliver();
  /// Seconds of all threads that went into it.
  [[nodiscard]] double thread_seconds() const noexcept { return static_cast<double>(spent_ns_) * 1e-9; }

 private:
  struct Block {
    QueryRange range;
    int tiles;
    bool keeps;     // its scores
    float* scores;  // [rows, tiles, kTileRows] where kept
    int* rows_of;   // [tiles] rows of each
    float* mass;    // [tiles, kTileRows]
  };
  int add_block(const QueryRange& range, int tiles, bool keeps);
  void observe_kept(const Block& block, const BlockResult& result);
  void observe_again(const Block& block, QueryBlock& queries);
  [[nodiscard]] bool counts(const Block& block, int query) const {
    return args_.chunk.positions_of(block.range.sequence)[block.range.first + query] >=
           sink_->first_query(block.range.sequence);
  }
  [[nodiscard]] float share(const Block& block, int row, const BlockResult& result) const {
    return share_of_sum(result.maximum[row], result.sum[row], args_.sink_logits,
                        block.range.kv_head * group_ + row % group_);
  }

  const AttendArgs& args_;
  MassSink* sink_;
  int group_;
  std::vector<Block>& blocks_;
  std::atomic<std::int64_t> spent_ns_{0};
};

}  // namespace attnlab
