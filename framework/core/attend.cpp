// The tiled attention core. A task is (sequence, kv head, block of queries, range of tiles); all query heads of the kv
// head are handled together, so each tile of keys is read once for the group. Where a sequence has few queries and many
// tiles (decode), the tiles are split over tasks in ranges of a fixed size and the parts merged in order: the split
// follows from shapes only, so results are bitwise the same for every number of threads.
// Not here: what happens between a block and a tile (query_block), the arithmetic of a tile (tile_kernels), the
// mass of the rows (attend_mass), the slow reference (tests/).
#include "core/attend.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include <fmt/format.h>

#include "base/plugin_call.h"
#include "core/attend_mass.h"
#include "core/attend_rows.h"
#include "core/attend_work.h"
#include "core/query_block.h"
#include "parallel/parallel.h"
#include "tiles/tile_kernels.h"

namespace attnlab {
namespace {

constexpr float kLowest = -std::numeric_limits<float>::infinity();
constexpr int kSplitTiles = 8;  // tiles of one task when the keys are split

struct Task {
  QueryRange range;
  int first_tile;
  int tiles;
  int split;     // index of the part; -1: the task writes the result itself
  int reading;   // index of the selection of tiles; -1: all are read
  int observed;  // index in the mass; -1: none of the queries counts
};

// Which tiles each query head of a block reads.
struct Reading {
  QueryRange range;
  int tiles;
  std::uint8_t* reads;  // [queries, group, tiles]
};

std::string shape_text(const TensorView<const float, 3>& rows) {
  return fmt::format("[{}, {}, {}] with a last stride of {}", rows.extent(0), rows.extent(1), rows.extent(2),
                     rows.stride(2));
}

// What is asked for is there, and what is written has room.
void check_attend(const AttendArgs& args, const TensorView<float, 3>& out) {
  const KvShape shape = args.source.shape();
  const std::int64_t heads = args.queries.extent(1);
  if (shape.kv_heads < 1 || heads < 1 || heads % shape.kv_heads != 0)
    broken_rule(fmt::format("attend: {} query heads on {} kv heads", heads, shape.kv_heads),
                "query heads are a multiple of kv heads");
  const auto is = [&](const TensorView<const float, 3>& rows, int width) {
    return rows.extent(0) == args.chunk.tokens() && rows.extent(1) == heads && rows.extent(2) == width &&
           rows.stride(2) == 1;
  };
  if (!is(args.queries, shape.key_dim) || !is(out, shape.value_dim))
    broken_rule(fmt::format("attend: queries {}, output {}", shape_text(args.queries), shape_text(out)),
                fmt::format("[{}, {}, {}] and [{}, {}, {}] with dense rows are right here", args.chunk.tokens(), heads,
                            shape.key_dim, args.chunk.tokens(), heads, shape.value_dim));
  if (!args.sink_logits.empty() && static_cast<std::int64_t>(args.sink_logits.size()) != heads)
    broken_rule(fmt::format("attend: {} sink logits for {} heads", args.sink_logits.size(), heads));
  if (std::ranges::count(args.hooks, nullptr) > 0) broken_rule("attend: a hook is null");
  if (args.row_bias == nullptr) return;
  if (args.row_bias->width() != shape.key_dim)
    broken_rule(fmt::format("attend: a position bias for queries of {} numbers, where they have {}",
                            args.row_bias->width(), shape.key_dim));
  if (args.weighting != nullptr || args.source.selector() != nullptr)
    broken_rule("attend: a bias of whole rows with a weighting of single scores or a selection of tiles",
                "it needs the scores of all rows that a query sees, before there are weights");
}

class Attend {
 public:
  Attend(const AttendArgs& args, TensorView<float, 3> out, TensorView<float, 2> log_sum)
      : args_(args),
        out_(out),
        log_sum_(log_sum),
        shape_(args.source.shape()),
        heads_(static_cast<int>(args.queries.extent(1))),
        group_(heads_ / std::max(shape_.kv_heads, 1)),
        selector_(args.source.selector()),
        mass_(args, group_) {
    check_attend(args, out);
    if ((args.weighting != nullptr || args.row_weighting != nullptr) &&
        (!args.sink_logits.empty() || log_sum.data() != nullptr || args.source.mass_sink() != nullptr ||
         selector_ != nullptr))
      broken_rule("attend: a weighting with what belongs to a softmax",
                  "sink logits, log_sum, attention mass and a selection of tiles need the softmax");
  }

  void run();
  [[nodiscard]] double mass_thread_seconds() const noexcept { return mass_.thread_seconds(); }

 private:
  void plan();
  void plan_head(int sequence, int kv_head);
  void select(const Reading& reading) const;
  void run_task(const Task& task);
  void write(const Task& task, const BlockResult& result) const;
  void merge(const Task& first);

  const TileRotation* rotation_of(int sequence) const { return rotations_.empty() ? nullptr : &rotations_[sequence]; }
  TileReads reads(const Task& task) const {
    if (task.reading < 0) return {};
    const Reading& reading = readings_[task.reading];
    return {reading.reads, {reading.range.count, group_, reading.tiles}};
  }
  // Index of the selection of a block; -1 where everything is read.
  int plan_reading(const QueryRange& range, int tiles, bool selects) {
    if (!selects) return -1;
    readings_.push_back({range, tiles, nullptr});
    return static_cast<int>(readings_.size()) - 1;
  }
  // [rows, value width + 2] of one part: output, maximum and sum.
  BlockResult part(int split) const {
    const int width = padded(shape_.value_dim);
    float* first = parts_.data() + static_cast<std::int64_t>(split) * part_rows_ * (width + 2);
    float* maximum = first + static_cast<std::int64_t>(part_rows_) * width;
    return {first, width, maximum, maximum + part_rows_};
  }

  const AttendArgs& args_;
  TensorView<float, 3> out_;
  TensorView<float, 2> log_sum_;  // without data: not asked for
  KvShape shape_;
  int heads_;
  int group_;
  const TileSelector* selector_;
  AttendMass mass_;
  // Reused by every call of a thread: a decode step allocates nothing.
  std::vector<Task>& tasks_ = list<Task, 0>();
  std::vector<Task>& merges_ = list<Task, 1>();
  std::vector<Reading>& readings_ = list<Reading, 0>();
  std::vector<TileRotation>& rotations_ = list<TileRotation, 0>();  // of the sequences; empty: keys come rotated
  std::span<float> parts_;
  int part_rows_ = 0;
  int splits_ = 0;
  Work work_{0};

  template <class T, int Which>
  static std::vector<T>& list() {
    thread_local std::vector<T> kept;
    kept.clear();
    return kept;
  }
};

void Attend::plan() {
  for (int sequence = 0; sequence < args_.chunk.sequences(); ++sequence) {
    if (args_.chunk.tokens_of(sequence) == 0) continue;
    for (int kv_head = 0; kv_head < shape_.kv_heads; ++kv_head) plan_head(sequence, kv_head);
  }
}

void Attend::plan_head(int sequence, int kv_head) {
  const int block = std::max(1, kBlockRows / group_);
  const int queries = args_.chunk.tokens_of(sequence);
  const int tiles = args_.source.tiles(sequence, kv_head);
  const bool few = queries * group_ <= kBlockRows / 2;
  work_ = work_ + attend_work(args_, queries, tiles);
  Task task{.range = {sequence, kv_head, 0, queries},
            .first_tile = 0,
            .tiles = tiles,
            .split = -1,
            .reading = -1,
            .observed = -1};
  const bool selects = selector_ != nullptr && tiles > 0 && selector_->selects(args_.chunk, sequence);
  if (few && tiles > kSplitTiles) {
    task.reading = plan_reading(task.range, tiles, selects);
    task.split = splits_;
    task.observed = mass_.plan(task.range, tiles);
    merges_.push_back(task);
    for (int first = 0; first < tiles; first += kSplitTiles) {
      task.first_tile = first;
      task.tiles = std::min(kSplitTiles, tiles - first);
      task.split = splits_++;
      tasks_.push_back(task);
    }
    part_rows_ = std::max(part_rows_, queries * group_);
    return;
  }
  // The last block first: with a causal mask it has the most to do.
  for (int first = (queries - 1) / block * block; first >= 0; first -= block) {
    task.range.first = first;
    task.range.count = std::min(block, queries - first);
    task.reading = plan_reading(task.range, tiles, selects);
    task.observed = mass_.plan(task.range, tiles);
    tasks_.push_back(task);
  }
}

void Attend::run() {
  if (QuerySink* queries = args_.source.query_sink()) queries->add(args_.chunk, args_.queries);
  plan();
  thread_local Scratch scratch;
  const Scratch::Scope scope(scratch);
  parts_ = scratch.floats(static_cast<std::int64_t>(splits_) * part_rows_ * (padded(shape_.value_dim) + 2));
  mass_.allocate(scratch);
  if (args_.rotation != nullptr && args_.source.key_form() == KeyForm::unrotated)
    for (int sequence = 0; sequence < args_.chunk.sequences(); ++sequence)
      rotations_.emplace_back(*args_.rotation, shape_, args_.chunk.lengths[sequence], scratch);
  double bounds = 0;  // of tiles that are looked at, for all queries
  for (Reading& reading : readings_) {
    const std::int64_t count = static_cast<std::int64_t>(reading.range.count) * group_ * reading.tiles;
    reading.reads = reinterpret_cast<std::uint8_t*>(scratch.floats((count + 3) / 4).data());
    std::memset(reading.reads, 0, count);
    bounds += static_cast<double>(count);
  }
  const Work selecting = Work::multiply_adds(bounds * 4 * shape_.key_dim);
  const Work merging = Work::numbers(static_cast<double>(splits_) * part_rows_ * shape_.value_dim);
  parallel_for(static_cast<int>(readings_.size()), selecting, [&](int index, WorkerSlot) { select(readings_[index]); });
  parallel_for(static_cast<int>(tasks_.size()), work_, [&](int index, WorkerSlot) { run_task(tasks_[index]); });
  parallel_for(static_cast<int>(merges_.size()), merging, [&](int index, WorkerSlot) { merge(merges_[index]); });
  mass_.deliver();
}

void Attend::select(const Reading& reading) const {
  thread_local Scratch scratch;
  const Scratch::Scope scope(scratch);
  AttendArgs unscaled = args_;
  unscaled.scale = 1;
  const QueryRange& range = reading.range;
  const QueryBlock block(unscaled, range, scratch);
  selector_->select({.sequence = range.sequence,
                     .kv_head = range.kv_head,
                     .first_token = args_.chunk.first(range.sequence) + range.first,
                     .positions = block.positions()},
                    block.packed(), {reading.reads, {range.count, group_, reading.tiles}});
}

void Attend::run_task(const Task& task) {
  thread_local Scratch scratch;
  const Scratch::Scope scope(scratch);
  QueryBlock block(args_, task.range, scratch, reads(task), rotation_of(task.range.sequence));
  const std::int64_t first_token = args_.chunk.first(task.range.sequence) + task.range.first;
  for (int query = 0; query < task.range.count; ++query)  // written at the end
    fetch_rows(&out_(first_token + query, std::int64_t{task.range.kv_head} * group_, 0), out_.stride(1), group_,
               shape_.value_dim);
  for (int index = task.first_tile; index < task.first_tile + task.tiles; ++index) {
    if (!block.is_read(index)) continue;
    const KvTile tile = block.tile(index);
    const TileScores scored = block.score(index, tile);
    if (scored.rows == 0) continue;
    mass_.keep(task.observed, index, tile, scored);
    block.add(tile, scored);
  }
  if (task.split < 0) {
    write(task, block.result());
    mass_.observe(task.observed, block);
    return;
  }
  const BlockResult from = block.result();
  const BlockResult to = part(task.split);
  std::copy_n(from.out, static_cast<std::int64_t>(block.rows()) * from.stride, to.out);
  std::copy_n(from.maximum, block.rows(), to.maximum);
  std::copy_n(from.sum, block.rows(), to.sum);
}

// Divides by the sum, which the sink logit joins, and spreads the rows over tokens and heads.
void Attend::write(const Task& task, const BlockResult& result) const {
  const int first_token = args_.chunk.first(task.range.sequence) + task.range.first;
  for (int query = 0; query < task.range.count; ++query) {
    for (int member = 0; member < group_; ++member) {
      const int row = query * group_ + member;
      const int head = task.range.kv_head * group_ + member;
      scale_copy(result.out + static_cast<std::int64_t>(row) * result.stride, shape_.value_dim,
                 args_.weighting != nullptr
                     ? 1.0F
                     : share_of_sum(result.maximum[row], result.sum[row], args_.sink_logits, head),
                 &out_(first_token + query, head, 0));
      if (log_sum_.data() != nullptr)
        log_sum_(first_token + query, head) = log_of_sum(result.maximum[row], result.sum[row], args_.sink_logits, head);
    }
  }
}

void Attend::merge(const Task& first) {
  thread_local Scratch scratch;
  const Scratch::Scope scope(scratch);
  const int rows = first.range.count * group_;
  const int width = padded(shape_.value_dim);
  const BlockResult merged{scratch.floats(static_cast<std::int64_t>(rows) * width).data(), width,
                           scratch.floats(rows).data(), scratch.floats(rows).data()};
  std::fill_n(merged.out, static_cast<std::int64_t>(rows) * width, 0.0F);
  std::fill_n(merged.maximum, rows, kLowest);
  std::fill_n(merged.sum, rows, 0.0F);
  const int splits = (first.tiles + kSplitTiles - 1) / kSplitTiles;
  for (int split = 0; split < splits; ++split) {
    const BlockResult from = part(first.split + split);
    for (int row = 0; row < rows; ++row) {
      if (from.maximum[row] == kLowest) continue;  // nothing of this part is seen
      const float larger = std::max(merged.maximum[row], from.maximum[row]);
      const float keep = std::exp(merged.maximum[row] - larger);
      const float factor = std::exp(from.maximum[row] - larger);
      float* to = merged.out + static_cast<std::int64_t>(row) * width;
      scale_row(to, width, keep);
      add_scaled(from.out + static_cast<std::int64_t>(row) * width, width, factor, to);
      merged.sum[row] = merged.sum[row] * keep + from.sum[row] * factor;
      merged.maximum[row] = larger;
    }
  }
  write(first, merged);
  mass_.observe_merged(first.observed, merged);
}

}  // namespace

Arithmetic multiplied_in(const AttendArgs& args, int sequence) noexcept {
  constexpr int few = 8;  // as products of weights do it
  return args.needs_whole_rows() || args.chunk.tokens_of(sequence) <= few ? Arithmetic::f32 : args.compute;
}

float share_of_sum(float maximum, float sum, std::span<const float> sink_logits, int head) {
  if (sink_logits.empty()) return sum == 0 ? 0.0F : 1.0F / sum;  // NaN stays NaN
  const float sink = sink_logits[head];
  const float larger = std::max(maximum, sink);
  const float factor = std::exp(maximum - larger);
  const float total = sum * factor + std::exp(sink - larger);
  return total == 0 ? 0.0F : factor / total;
}

float log_of_sum(float maximum, float sum, std::span<const float> sink_logits, int head) {
  if (sink_logits.empty()) return sum == 0 ? kLowest : maximum + std::log(sum);
  const float sink = sink_logits[head];
  const float larger = std::max(maximum, sink);
  return larger + std::log(sum * std::exp(maximum - larger) + std::exp(sink - larger));
}

void attend(const AttendArgs& args, TensorView<float, 3> out, TensorView<float, 2> log_sum, AttendTime* time) {
  const auto start = std::chrono::steady_clock::now();
  Attend call(args, out, log_sum);
  if (args.needs_whole_rows())
    attend_rows(args, out, log_sum, time);
  else
    call.run();
  if (time != nullptr) {
    time->seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    time->mass_thread_seconds += call.mass_thread_seconds();
  }
}

}  // namespace attnlab
