#include "core/attend_mass.h"

#include <algorithm>
#include <chrono>
#include <limits>

#include "parallel/parallel.h"
#include "tiles/tile_kernels.h"

namespace attnlab {
namespace {

constexpr float kLowest = -std::numeric_limits<float>::infinity();

// Reused by every call of a thread: a decode step allocates nothing.
template <class Block>
std::vector<Block>& block_list() {
  thread_local std::vector<Block> blocks;
  blocks.clear();
  return blocks;
}

class Stopwatch {
 public:
  explicit Stopwatch(std::atomic<std::int64_t>& spent_ns) : spent_ns_(spent_ns) {}
  ~Stopwatch() {
    spent_ns_.fetch_add((std::chrono::steady_clock::now() - start_) / std::chrono::nanoseconds(1),
                        std::memory_order_relaxed);
  }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

 private:
  std::atomic<std::int64_t>& spent_ns_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace

AttendMass::AttendMass(const AttendArgs& args, int group)
    : args_(args), sink_(args.source.mass_sink()), group_(group), blocks_(block_list<Block>()) {}

int AttendMass::plan(const QueryRange& range, int tiles) {
  return add_block(range, tiles, range.count * group_ <= kBlockRows / 2);
}

int AttendMass::add_block(const QueryRange& range, int tiles, bool keeps) {
  if (sink_ == nullptr || tiles == 0) return -1;
  Block block{.range = range, .tiles = tiles, .keeps = keeps, .scores = nullptr, .rows_of = nullptr, .mass = nullptr};
  if (!counts(block, range.count - 1)) return -1;  // positions ascend, so none counts if the last does not
  blocks_.push_back(block);
  return static_cast<int>(blocks_.size()) - 1;
}

void AttendMass::allocate(Scratch& scratch) {
  static_assert(sizeof(int) == sizeof(float));
  for (Block& block : blocks_) {
    const std::int64_t entries = static_cast<std::int64_t>(block.tiles) * kTileRows;
    block.mass = scratch.floats(entries).data();
    block.rows_of = reinterpret_cast<int*>(scratch.floats(block.tiles).data());
    std::fill_n(block.mass, entries, 0.0F);
    std::fill_n(block.rows_of, block.tiles, -1);
    if (!block.keeps) continue;
    const std::int64_t scores = entries * block.range.count * group_;
    block.scores = scratch.floats(scores).data();
    std::fill_n(block.scores, scores, kLowest);
  }
}

void AttendMass::keep(int index, int tile, const KvTile& rows, const TileScores& scored) {
  if (index < 0) return;
  Block& block = blocks_[index];
  block.rows_of[tile] = rows.rows();
  if (!block.keeps) return;
  for (int row = 0; row < scored.rows; ++row)
    std::copy_n(scored.scores + static_cast<std::int64_t>(row) * kTileRows, scored.columns,
                block.scores + (static_cast<std::int64_t>(scored.first_row + row) * block.tiles + tile) * kTileRows);
}

void AttendMass::add_weights(int index, int tile, const KvTile& rows, const float* weights, std::int64_t stride) {
  if (index < 0) return;
  const Stopwatch watch(spent_ns_);
  Block& block = blocks_[index];
  block.rows_of[tile] = rows.rows();
  for (int row = 0; row < block.range.count * group_; ++row)
    if (counts(block, row / group_)) add_scaled(weights + row * stride, rows.rows(), 1, block.mass + tile * kTileRows);
}

void AttendMass::observe_merged(int index, const BlockResult& result) {
  if (index < 0) return;
  const Stopwatch watch(spent_ns_);
  observe_kept(blocks_[index], result);
}

void AttendMass::observe(int index, QueryBlock& queries) {
  if (index < 0) return;
  const Stopwatch watch(spent_ns_);
  const Block& block = blocks_[index];
  if (block.keeps)
    observe_kept(block, queries.result());
  else
    observe_again(block, queries);
}

void AttendMass::observe_kept(const Block& block, const BlockResult& result) {
  for (int row = 0; row < block.range.count * group_; ++row) {
    if (!counts(block, row / group_) || result.maximum[row] == kLowest) continue;
    add_probabilities(block.scores + static_cast<std::int64_t>(row) * block.tiles * kTileRows, block.tiles * kTileRows,
                      result.maximum[row], share(block, row, result), block.mass);
  }
}

void AttendMass::observe_again(const Block& block, QueryBlock& queries) {
  const BlockResult result = queries.result();
  for (int tile = 0; tile < block.tiles; ++tile) {
    if (block.rows_of[tile] <= 0) continue;  // no query saw it
    const KvTile rows = queries.tile(tile);
    const TileScores scored = queries.score(tile, rows);
    for (int row = 0; row < scored.rows; ++row) {
      const int of_block = scored.first_row + row;
      if (!counts(block, of_block / group_) || result.maximum[of_block] == kLowest) continue;
      add_probabilities(scored.scores + static_cast<std::int64_t>(row) * kTileRows, scored.columns,
                        result.maximum[of_block], share(block, of_block, result), block.mass + tile * kTileRows);
    }
  }
}

void AttendMass::deliver() {
  if (blocks_.empty()) return;
  // Blocks of a (sequence, kv head) stand side by side.
  thread_local std::vector<int> firsts;
  firsts.clear();
  for (std::size_t i = 0; i < blocks_.size(); ++i)
    if (i == 0 || blocks_[i].range.sequence != blocks_[i - 1].range.sequence ||
        blocks_[i].range.kv_head != blocks_[i - 1].range.kv_head)
      firsts.push_back(static_cast<int>(i));
  const std::vector<int>& heads = firsts;  // the tasks see the list of this thread, not their own
  double numbers = 0;
  for (const Block& block : blocks_) numbers += static_cast<double>(block.tiles) * kTileRows;
  parallel_for(static_cast<int>(heads.size()), Work::numbers(numbers), [&](int index, WorkerSlot) {
    const int first = heads[index];
    const int end = index + 1 < static_cast<int>(heads.size()) ? heads[index + 1] : static_cast<int>(blocks_.size());
    const QueryRange& range = blocks_[first].range;
    const Stopwatch watch(spent_ns_);
    thread_local Scratch scratch;
    const Scratch::Scope scope(scratch);
    TileScratch tile{scratch.floats(static_cast<std::int64_t>(padded(args_.source.shape().key_dim)) * kTileRows),
                     scratch.floats(static_cast<std::int64_t>(padded(args_.source.shape().value_dim)) * kTileRows),
                     {reinterpret_cast<Position*>(scratch.floats(kTileRows).data()), kTileRows}};
    const int tiles = blocks_[first].tiles;
    const std::span<float> mass = scratch.floats(static_cast<std::int64_t>(tiles) * kTileRows);
    std::int64_t rows = 0;
    for (int i = 0; i < tiles; ++i) {
      int of_tile = -1;
      for (int block = first; block < end; ++block) of_tile = std::max(of_tile, blocks_[block].rows_of[i]);
      if (of_tile < 0) of_tile = args_.source.tile(range.sequence, range.kv_head, i, tile).rows();
      for (int row = 0; row < of_tile; ++row) {
        double sum = 0;
        for (int block = first; block < end; ++block) sum += blocks_[block].mass[i * kTileRows + row];
        mass[rows + row] = static_cast<float>(sum);
      }
      rows += of_tile;
    }
    sink_->add(range.sequence, range.kv_head, mass.first(rows));
  });
}

}  // namespace attnlab
