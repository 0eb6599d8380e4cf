// Random inputs of `attend`, and one object for each thing that an argument of it can be (rotation, hook, visibility),
// beside the line of double arithmetic that says the same.
#pragma once

#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <mutex>
#include <ostream>
#include <utility>
#include <vector>

#include <attnlab/core.h>

#include "reference/row_source.h"

namespace attnlab::reference {

struct AttendShape {
  KvShape kv;
  int group = 1;
  std::vector<int> held;    // [sequences]: rows before the chunk
  std::vector<int> tokens;  // [sequences]: tokens of the chunk

  [[nodiscard]] int heads() const { return kv.kv_heads * group; }
  [[nodiscard]] int longest() const {
    int rows = 0;
    for (std::size_t i = 0; i < held.size(); ++i) rows = std::max(rows, held[i] + tokens[i]);
    return rows;
  }
};
inline std::ostream& operator<<(std::ostream& out, const AttendShape& shape) {
  out << shape.kv.kv_heads << " kv heads x " << shape.group << ", key_dim " << shape.kv.key_dim << ", value_dim "
      << shape.kv.value_dim << ", held + tokens";
  for (std::size_t i = 0; i < shape.held.size(); ++i) out << ' ' << shape.held[i] << '+' << shape.tokens[i];
  return out;
}

inline constexpr std::array<int, 5> kWidths{8, 16, 20, 64, 128};

/// Shape number `index` of a list in which every group (1..12) meets every key_dim; value_dim is another width. What
/// is ragged comes from the stream: some sequences have nothing new, some decode over many tiles, some are prompts.
inline AttendShape ragged_shape(int index, Stream& stream) {
  AttendShape shape;
  shape.group = 1 + index % 12;
  const int width = index % 5;
  shape.kv = {
      .kv_heads = 1 + index % 2, .key_dim = kWidths[width], .value_dim = kWidths[(width + 1 + index / 5 % 4) % 5]};
  constexpr std::array held{0, 1, 63, 130, 560, 700};
  constexpr std::array decoded{0, 0, 1, 2, 5};
  constexpr std::array prompts{9, 33, 64, 100};
  const int sequences = stream.between(1, 4);
  for (int sequence = 0; sequence < sequences; ++sequence) {
    const bool is_prompt = sequence == index % 4;
    shape.held.push_back(stream.one_of(is_prompt ? std::span(held).first(4) : std::span(held)));
    shape.tokens.push_back(stream.one_of(is_prompt ? std::span<const int>(prompts) : std::span<const int>(decoded)));
  }
  return shape;
}

/// Keys and queries ~ N(0, 1), rows in the order of their positions.
struct AttendCase {
  AttendCase(const AttendShape& shape_, Stream& stream) : shape(shape_) {
    rows.shape = shape.kv;
    for (std::size_t sequence = 0; sequence < shape.held.size(); ++sequence) {
      chunk.add(shape.held[sequence], shape.tokens[sequence]);
      for (int head = 0; head < shape.kv.kv_heads; ++head) {
        std::vector<Row>& list = rows.lists.emplace_back();
        for (Position position = 0; position < shape.held[sequence] + shape.tokens[sequence]; ++position)
          list.push_back({stream.normals(shape.kv.key_dim), stream.normals(shape.kv.value_dim), position});
      }
    }
    queries = stream.normals(static_cast<std::int64_t>(chunk.positions.size()) * shape.heads() * shape.kv.key_dim);
  }

  [[nodiscard]] float scale() const { return 1.0F / std::sqrt(static_cast<float>(shape.kv.key_dim)); }

  AttendShape shape;
  Chunk chunk;
  RowLists rows;
  std::vector<float> queries;  // [tokens, heads, key_dim]
};

/// The mass of all queries, by sequence and kv head, as a policy would get it.
class MassOfRows final : public MassSink {
 public:
  Position first_query(int) const noexcept override { return 0; }
  void add(int sequence, int kv_head, std::span<const float> mass) noexcept override {
    const std::lock_guard lock(mutex_);
    of[{sequence, kv_head}].assign(mass.begin(), mass.end());
  }
  std::map<std::pair<int, int>, std::vector<double>> of;

 private:
  std::mutex mutex_;
};

/// What `attend` gets beside queries and rows.
struct AttendOptions {
  RowSource::Settings source = {};
  const Rotation* rotation = nullptr;
  std::vector<const ScoreHook*> hooks = {};
  Position window = 0;
  std::vector<float> sink_logits = {};
  const MaskRule* mask = nullptr;  // in place of a causal one
  const RowWeighting* row_weighting = nullptr;
  const RowBias* row_bias = nullptr;
  Arithmetic compute = Arithmetic::f32;
};

/// `log_sums`, if given, becomes [tokens, heads].
inline std::vector<float> run_attend(const AttendCase& c, const KvSource& source, const AttendOptions& options = {},
                                     std::vector<float>* log_sums = nullptr) {
  const ChunkView chunk = c.chunk.view();
  const CausalMask mask(options.window);
  std::vector<float> out(static_cast<std::size_t>(chunk.tokens()) * c.shape.heads() * c.shape.kv.value_dim,
                         std::numeric_limits<float>::quiet_NaN());
  TensorView<float, 2> log_sum;
  if (log_sums != nullptr) {
    log_sums->assign(static_cast<std::size_t>(chunk.tokens()) * c.shape.heads(),
                     std::numeric_limits<float>::quiet_NaN());
    log_sum = {log_sums->data(), {chunk.tokens(), c.shape.heads()}};
  }
  attend({.queries = rows_view(c.queries, c.shape.heads(), c.shape.kv.key_dim),
          .chunk = chunk,
          .source = source,
          .scale = c.scale(),
          .rotation = options.rotation,
          .row_bias = options.row_bias,
          .hooks = options.hooks,
          .mask = options.mask != nullptr ? *options.mask : mask,
          .sink_logits = options.sink_logits,
          .row_weighting = options.row_weighting,
          .compute = options.compute},
         rows_view(out, c.shape.heads(), c.shape.kv.value_dim), log_sum);
  return out;
}
inline std::vector<float> run_attend(const AttendCase& c, AttendOptions options = {},
                                     std::vector<float>* log_sums = nullptr) {
  options.source.lengths = c.chunk.lengths;
  return run_attend(c, RowSource(c.rows, options.source), options, log_sums);
}

/// Turns the pairs (2i, 2i + 1) by position / (i + 1), faster in longer sequences, and stretches queries: so that a
/// wrong position, length or side is seen. `width`: of all rows, which says that pairs are turned; 0: nothing is said.
class TestRotation final : public Rotation {
 public:
  explicit TestRotation(int width = 0) : width_(width) {}
  TurnedPairs pairs() const noexcept override { return {width_ / 2 * 2, TurnedPairs::Order::neighbours}; }
  static void turn(std::span<double> x, Position position, RotateSide side, Position length) {
    for (std::size_t i = 0; i + 1 < x.size(); i += 2) {
      const double angle = 0.3 * position / (1.0 + static_cast<double>(i)) * (1 + length / 1000.0);
      const double stretch = side == RotateSide::query ? 1.25 : 0.8;
      const double a = x[i];
      const double b = x[i + 1];
      x[i] = stretch * (a * std::cos(angle) - b * std::sin(angle));
      x[i + 1] = stretch * (b * std::cos(angle) + a * std::sin(angle));
    }
  }
  void rotate(const RotateArgs& args, TensorView<float, 3> rows) const noexcept override {
    std::array<double, 256> x;
    const std::int64_t width = rows.extent(2);
    for (std::int64_t row = 0; row < rows.extent(0); ++row)
      for (std::int64_t head = 0; head < rows.extent(1); ++head) {
        std::copy_n(&rows(row, head, 0), width, x.begin());
        turn(std::span(x).first(width), args.positions[row], args.side, args.length);
        for (std::int64_t i = 0; i < width; ++i) rows(row, head, i) = static_cast<float>(x[i]);
      }
  }

 private:
  int width_;
};

/// A penalty by distance that differs from head to head, as of ALiBi.
class DistanceBias final : public ScoreHook {
 public:
  static double bias(int head, Position query, Position key) { return -(query - key) * 0.02 * (1 + head); }
  void apply(ScoreTile& tile) const noexcept override {
    for (std::int64_t member = 0; member < tile.scores.extent(0); ++member)
      for (std::int64_t query = 0; query < tile.scores.extent(1); ++query)
        for (std::int64_t row = 0; row < tile.scores.extent(2); ++row)
          tile.scores(member, query, row) += static_cast<float>(
              bias(tile.first_head + static_cast<int>(member), tile.query_positions[query], tile.key_positions[row]));
  }
};

/// cap * tanh(score / cap).
class TanhCap final : public ScoreHook {
 public:
  explicit TanhCap(double cap) : cap_(cap) {}
  [[nodiscard]] double capped(double score) const { return cap_ * std::tanh(score / cap_); }
  void apply(ScoreTile& tile) const noexcept override {
    for (std::int64_t member = 0; member < tile.scores.extent(0); ++member)
      for (std::int64_t query = 0; query < tile.scores.extent(1); ++query)
        for (std::int64_t row = 0; row < tile.scores.extent(2); ++row)
          tile.scores(member, query, row) = static_cast<float>(capped(tile.scores(member, query, row)));
  }

 private:
  double cap_;
};

}  // namespace attnlab::reference
