#include "core/query_block.h"

#include <algorithm>
#include <array>
#include <limits>
#include <string>

#include "base/plugin_call.h"
#include "tiles/bf16_tiles.h"
#include "tiles/nibble_kernels.h"
#include "tiles/tile_kernels.h"

namespace attnlab {
namespace {

constexpr float kLowest = -std::numeric_limits<float>::infinity();
constexpr int kCodedRows = 16;   // up to so many rows of a block are multiplied with codes as they are
constexpr int kMaskQueries = 8;  // granularity at which queries that see nothing of a tile are left out

bool stands_by_channel(const KvTile& tile) {
  return tile.keys.stride(0) == 1 && tile.keys.stride(1) == kTileRows;
}

}  // namespace

QueryBlock::QueryBlock(const AttendArgs& args, const QueryRange& range, Scratch& scratch, TileReads reads,
                       const TileRotation* rotation)
    : args_(args),
      range_(range),
      scratch_(scratch),
      shape_(args.source.shape()),
      group_(static_cast<int>(args.queries.extent(1)) / shape_.kv_heads),
      rows_(range.count * group_),
      value_stride_(padded(shape_.value_dim)),
      reads_(reads),
      visibility_(args.source.visibility(range.sequence)),
      first_token_(args.chunk.first(range.sequence) + range.first),
      place_{
          .sequence = range.sequence, .kv_head = range.kv_head, .first_head = range.kv_head * group_, .heads = group_},
      positions_(args.chunk.positions_of(range.sequence).subspan(range.first, range.count)),
      rotation_(rotation),
      is_bf16_(multiplied_in(args, range.sequence) == Arithmetic::bf16) {
  const auto floats = [&](std::int64_t count) { return scratch.floats(count).data(); };
  const auto halves = [&](std::int64_t count) {
    return reinterpret_cast<std::uint16_t*>(scratch.floats((count + 1) / 2).data());
  };
  const std::int64_t rows = rows_;
  packed_ = floats(rows * shape_.key_dim);
  scores_ = floats(rows * kTileRows);
  out_ = floats(rows * value_stride_);
  maximum_ = floats(rows);
  sum_ = floats(rows);
  sums_ = floats(rows * kSoftmaxSums);
  keys_ = floats(static_cast<std::int64_t>(padded(shape_.key_dim)) * kTileRows);
  values_ = floats(static_cast<std::int64_t>(kTileRows) * value_stride_);
  row_keys_ = floats(static_cast<std::int64_t>(kTileRows) * shape_.key_dim);
  tile_.keys = scratch.floats(static_cast<std::int64_t>(shape_.key_dim) * kTileRows);
  tile_.values = scratch.floats(static_cast<std::int64_t>(kTileRows) * value_stride_);
  static_assert(sizeof(Position) == sizeof(float));
  // Codes are read once for a few queries; for many, a tile is decoded once. Quest cuts tiles, rotation needs floats.
  tile_.takes_codes = rows_ <= kCodedRows && !is_bf16_ && args.source.selector() == nullptr &&
                      !args.needs_whole_rows() && shape_.value_dim % 16 == 0 &&
                      (args.rotation == nullptr || args.source.key_form() == KeyForm::rotated);
  tile_.positions = {reinterpret_cast<Position*>(floats(kTileRows)), kTileRows};
  capped_positions_ = {reinterpret_cast<Position*>(floats(range.count)), static_cast<std::size_t>(range.count)};
  std::fill_n(out_, rows * value_stride_, 0.0F);
  std::fill_n(maximum_, rows, kLowest);
  std::fill_n(sums_, rows * kSoftmaxSums, 0.0F);
  pack(positions_, packed_);
  if (is_bf16_) {
    const int even = paired(shape_.key_dim);
    packed16_ = halves(rows * even);
    weights16_ = halves(rows * kTileRows);
    pairs_ = halves(std::max(std::int64_t{even} * kTileRows, std::int64_t{kTileRows} * value_stride_));
    round_rows(packed_, shape_.key_dim, rows_, shape_.key_dim, packed16_);
  }
  if (args.weighting != nullptr) {
    static_assert(sizeof(int) == sizeof(float));
    seen_ = {reinterpret_cast<int*>(floats(range.count)), static_cast<std::size_t>(range.count)};
    count_seen();
    // Weights of parts and tiles are added as they are.
    std::fill_n(maximum_, rows, 0.0F);
    std::fill_n(sum_, rows, 1.0F);
  }
}

// Rows of all tiles that each query sees: whole tiles where the rules say so, else by their masks.
void QueryBlock::count_seen() {
  std::fill(seen_.begin(), seen_.end(), 0);
  const MaskRule* const rules[] = {&args_.mask, visibility_};
  for (int index = 0; index < args_.source.tiles(range_.sequence, range_.kv_head); ++index) {
    const KvTile tile = this->tile(index);
    for (int query = 0; query < range_.count; ++query) {
      const Position position = std::min(positions_[query], tile.query_cap);
      MaskPlace of_query = place(tile, query, 1);
      of_query.queries = {position, position};
      std::fill_n(scores_, tile.rows(), 0.0F);
      ScoreTile one = view(tile, query, {scores_, {1, 1, tile.rows()}});
      one.query_positions = {&position, 1};
      int rows = tile.rows();
      for (const MaskRule* rule : rules) {
        if (rule == nullptr || rows == 0) continue;
        const MaskRule::Cover cover = rule->cover(of_query);
        if (cover == MaskRule::Cover::full) continue;
        if (cover == MaskRule::Cover::partial) rule->mask(one);
        rows = cover == MaskRule::Cover::none ? 0 : static_cast<int>(std::count(scores_, scores_ + tile.rows(), 0.0F));
      }
      seen_[query] += rows;
    }
  }
}

void QueryBlock::pack(std::span<const Position> positions, float* to) const {
  const int first_token = args_.chunk.first(range_.sequence) + range_.first;
  const int width = shape_.key_dim;
  for (int query = 0; query < range_.count; ++query)
    fetch_rows(&args_.queries(first_token + query, range_.kv_head * group_, 0), args_.queries.stride(1), group_, width);
  for (int query = 0; query < range_.count; ++query)
    for (int member = 0; member < group_; ++member)
      scale_copy(&args_.queries(first_token + query, range_.kv_head * group_ + member, 0), width, args_.scale,
                 to + static_cast<std::int64_t>(query * group_ + member) * width);
  if (args_.rotation != nullptr)
    rotate_columns(*args_.rotation, {positions, args_.chunk.lengths[range_.sequence], RotateSide::query}, shape_,
                   {to, {range_.count, group_, width}});
}

KvTile QueryBlock::tile(int index) {
  const KvTile tile = args_.source.tile(range_.sequence, range_.kv_head, index, tile_);
  if (tile.rows() > kTileRows)
    broken_rule("a tile of " + std::to_string(tile.rows()) + " rows, where " + std::to_string(kTileRows) + " fit");
  if (tile.query_cap != packed_cap_ && tile.query_cap != kNoCap) {
    if (capped_ == nullptr) capped_ = scratch_.floats(static_cast<std::int64_t>(rows_) * shape_.key_dim).data();
    packed_cap_ = tile.query_cap;
    for (int i = 0; i < range_.count; ++i) capped_positions_[i] = std::min(positions_[i], packed_cap_);
    pack(capped_positions_, capped_);
    if (is_bf16_) {
      const int even = paired(shape_.key_dim);
      if (capped16_ == nullptr)
        capped16_ = reinterpret_cast<std::uint16_t*>(scratch_.floats((std::int64_t{rows_} * even + 1) / 2).data());
      round_rows(capped_, shape_.key_dim, rows_, shape_.key_dim, capped16_);
    }
  }
  return tile;
}

const TileRotation& QueryBlock::rotation() {
  if (rotation_ == nullptr)
    rotation_ = &own_rotation_.emplace(*args_.rotation, shape_, args_.chunk.lengths[range_.sequence], scratch_);
  if (!first_row_) first_row_ = rotation_->make_first(scratch_);
  return *rotation_;
}

void QueryBlock::read_rows(const KvTile& tile, float* to) const {
  const int rows = tile.rows();
  const int width = shape_.key_dim;
  if (tile.keys.stride(1) == 1) {
    for (int row = 0; row < rows; ++row) std::copy_n(&tile.keys(row, 0), width, to + row * width);
  } else if (stands_by_channel(tile)) {
    transpose_tile(tile.keys.data(), kTileRows, width, rows, to, width);
  } else {
    for (int row = 0; row < rows; ++row)
      for (int channel = 0; channel < width; ++channel) to[row * width + channel] = tile.keys(row, channel);
  }
}

// The keys of a tile as [key_dim, kTileRows], rotated; in place where the source stores them so.
const float* QueryBlock::channel_major(const KvTile& tile) {
  const int rows = tile.rows();
  const int width = shape_.key_dim;
  const bool rotates = rotates_keys();
  const bool by_channel = stands_by_channel(tile);
  const bool turns = rotates && rotation().turns(tile.positions);
  const float* keys = tile.keys.data();
  if (!by_channel || (rotates && !turns)) {
    const float* from = keys;
    std::int64_t stride = tile.keys.stride(0);
    if (tile.keys.stride(1) != 1 || (rotates && !turns)) {
      read_rows(tile, row_keys_);
      if (rotates && !turns)
        rotate_columns(*args_.rotation, {tile.positions, args_.chunk.lengths[range_.sequence], RotateSide::key}, shape_,
                       {row_keys_, {rows, 1, width}});
      from = row_keys_;
      stride = width;
    }
    transpose_tile(from, stride, rows, width, keys_, kTileRows);
    keys = keys_;
  }
  if (!turns) return keys;
  rotation().turn(tile.positions[0], *first_row_, keys, keys_);
  return keys_;
}

bool QueryBlock::is_read(int tile) const noexcept {
  if (reads_.data() == nullptr) return true;
  for (std::int64_t query = 0; query < reads_.extent(0); ++query)
    for (std::int64_t member = 0; member < reads_.extent(1); ++member)
      if (reads_(query, member, tile) != 0) return true;
  return false;
}

// Query heads that do not read a tile which others of the block read.
void QueryBlock::leave_out(int tile, const TileScores& scored) const {
  if (reads_.data() == nullptr) return;
  for (int row = 0; row < scored.rows; ++row) {
    const int of_block = scored.first_row + row;
    if (reads_(of_block / group_, of_block % group_, tile) == 0)
      std::fill_n(scored.scores + static_cast<std::int64_t>(row) * kTileRows, kTileRows, kLowest);
  }
}

const MaskPlace& QueryBlock::place(const KvTile& tile, int first, int queries) const {
  const Position* positions = tile.query_cap != kNoCap ? capped_positions_.data() : positions_.data();
  place_.queries = {positions[first], positions[first + queries - 1]};
  place_.keys = tile.range;
  place_.first_token = first_token_ + first;
  place_.tokens = queries;
  return place_;
}

// As hooks, masks and weightings see scores [group, queries, rows], of query `first` of the block and those after it.
ScoreTile QueryBlock::view(const KvTile& tile, int first, TensorView<float, 3> scores) const {
  const bool is_capped = tile.query_cap != kNoCap;
  const std::int64_t queries = scores.extent(1);
  const std::span<const Position> positions = is_capped ? std::span<const Position>(capped_positions_) : positions_;
  const float* packed = (is_capped ? capped_ : packed_) + static_cast<std::int64_t>(first) * group_ * shape_.key_dim;
  return {.scores = scores,
          .query_positions = positions.subspan(first, queries),
          .key_positions = tile.positions.first(static_cast<std::size_t>(scores.extent(2))),
          .first_head = range_.kv_head * group_,
          .sequence = range_.sequence,
          .first_token = first_token_ + first,
          .key_marks = tile.marks.slice(0, scores.extent(2)),
          .queries = {packed, {queries, group_, shape_.key_dim}}};
}

TensorView<float, 3> QueryBlock::by_member(const TileScores& scored) const {
  return {scored.scores, {group_, scored.rows / group_, scored.columns}, {kTileRows, group_ * kTileRows, 1}};
}

BlockResult QueryBlock::result() const {
  if (args_.weighting == nullptr) add_up(sums_, rows_, sum_);
  return {out_, value_stride_, maximum_, sum_};
}

int QueryBlock::seen_columns(const KvTile& tile, int first, int queries) const {
  constexpr int step = 16;
  int columns = tile.rows();
  MaskPlace where = place(tile, first, queries);
  while (columns > step) {
    const int before = (columns - 1) / step * step;
    const auto [lowest, highest] = std::ranges::minmax(tile.positions.subspan(before, columns - before));
    where.keys = {lowest, highest};
    if (args_.mask.cover(where) != MaskRule::Cover::none) break;
    columns = before;
  }
  return columns;
}

TileScores QueryBlock::product(const KvTile& tile, int first, int queries, int columns) {
  const int rows = columns;
  const float* packed = tile.query_cap != kNoCap ? capped_ : packed_;
  TileScores scored{.first_row = first * group_, .rows = queries * group_, .columns = columns};
  scored.scores = scores_ + static_cast<std::int64_t>(scored.first_row) * kTileRows;
  TileProduct product{.a = packed + static_cast<std::int64_t>(scored.first_row) * shape_.key_dim,
                      .a_stride = shape_.key_dim,
                      .b_stride = kTileRows,
                      .out = scored.scores,
                      .out_stride = kTileRows,
                      .rows = scored.rows,
                      .columns = rows,
                      .depth = shape_.key_dim,
                      .accumulate = false};
  if (tile.key_codes.codes != nullptr) {
    tile_product_codes(product, tile.key_codes.codes);
    for (int row = 0; row < scored.rows; ++row)
      multiply(tile.key_codes.scales, rows, scored.scores + static_cast<std::int64_t>(row) * kTileRows);
  } else if (tile.key_codes.bf16 != nullptr) {
    tile_product_bf16(product, tile.key_codes.bf16);
  } else if (tile.key_codes.nibbles != nullptr) {
    nibble_scores(product, tile.key_codes);
  } else if (rotates_keys() && !is_bf16_ && stands_by_channel(tile) && rotation().multiplies(product.rows) &&
             rotation().turns(tile.positions)) {
    rotation().multiply(tile.positions[0], *first_row_, tile.keys.data(), product);
  } else {
    product.b = channel_major(tile);
    if (is_bf16_)
      product_bf16(product, scored.first_row, tile.query_cap != kNoCap);
    else
      tile_product(product);
  }
  return scored;
}

void QueryBlock::product_bf16(const TileProduct& product, int first_row, bool is_capped) {
  const int even = paired(shape_.key_dim);
  pair_rows(product.b, product.b_stride, product.depth, product.columns, pairs_);
  pair_product({.a = (is_capped ? capped16_ : packed16_) + static_cast<std::int64_t>(first_row) * even,
                .a_stride = even,
                .b = pairs_,
                .out = product.out,
                .out_stride = product.out_stride,
                .rows = product.rows,
                .columns = product.columns,
                .depth = even,
                .accumulate = false});
}

void QueryBlock::add_values_bf16(const KvTile& tile, const TileScores& weights, std::int64_t stride_of_weights) {
  const int even = paired(weights.columns);
  round_rows(weights.scores, stride_of_weights, weights.rows, weights.columns, weights16_);
  pair_rows(tile.values.data(), tile.values.stride(0), weights.columns, shape_.value_dim, pairs_);
  pair_product({.a = weights16_,
                .a_stride = even,
                .b = pairs_,
                .out = out_ + static_cast<std::int64_t>(weights.first_row) * value_stride_,
                .out_stride = value_stride_,
                .rows = weights.rows,
                .columns = shape_.value_dim,
                .depth = even,
                .accumulate = true});
}

TileScores QueryBlock::score(int index, const KvTile& tile, const BeforeHook* before) {
  if (tile.rows() == 0) return {};
  // Queries that see nothing of the tile are left out, in steps; what lies between is computed and masked.
  std::array<MaskRule::Cover, kBlockRows / kMaskQueries> seen;     // by the variant's mask
  std::array<MaskRule::Cover, kBlockRows / kMaskQueries> allowed;  // by the policy
  const int steps = (range_.count + kMaskQueries - 1) / kMaskQueries;
  int first_step = steps;
  int end_step = 0;
  for (int step = 0; step < steps; ++step) {
    const int of_step = std::min(kMaskQueries, range_.count - step * kMaskQueries);
    const MaskPlace& where = place(tile, step * kMaskQueries, of_step);
    seen[step] = args_.mask.cover(where);
    allowed[step] = visibility_ == nullptr ? MaskRule::Cover::full : visibility_->cover(where);
    if (seen[step] == MaskRule::Cover::none || allowed[step] == MaskRule::Cover::none) continue;
    first_step = std::min(first_step, step);
    end_step = step + 1;
  }
  if (end_step == 0) return {};
  const auto is_partial = [&](const auto& covers) {
    return std::any_of(covers.begin() + first_step, covers.begin() + end_step,
                       [](MaskRule::Cover cover) { return cover != MaskRule::Cover::full; });
  };
  const int first = first_step * kMaskQueries;
  const int end = std::min(end_step * kMaskQueries, range_.count);
  const bool masks = is_partial(seen), hides = is_partial(allowed);
  const TileScores scored =
      product(tile, first, end - first, masks ? seen_columns(tile, first, end - first) : tile.rows());
  if (masks || hides || !args_.hooks.empty()) {
    ScoreTile edited = view(tile, first, by_member(scored));
    for (std::size_t hook = 0; hook < args_.hooks.size(); ++hook) {
      if (before != nullptr) (*before)(hook, edited);
      args_.hooks[hook]->apply(edited);
    }
    if (masks) args_.mask.mask(edited);
    if (hides) visibility_->mask(edited);
  }
  leave_out(index, scored);
  return scored;
}

bool QueryBlock::is_hidden(const KvTile& tile) const {
  return tile.rows() == 0 || args_.mask.cover(place(tile, 0, range_.count)) == MaskRule::Cover::none;
}

void QueryBlock::edit(const KvTile& tile, TensorView<float, 3> scores, const BeforeHook* before) const {
  ScoreTile edited = view(tile, 0, scores);
  for (std::size_t hook = 0; hook < args_.hooks.size(); ++hook) {
    if (before != nullptr) (*before)(hook, edited);
    args_.hooks[hook]->apply(edited);
  }
  hide(tile, scores);
}

void QueryBlock::hide(const KvTile& tile, TensorView<float, 3> scores) const {
  ScoreTile edited = view(tile, 0, scores);
  const MaskPlace& where = place(tile, 0, range_.count);
  for (const MaskRule* rule : {&args_.mask, visibility_}) {
    if (rule == nullptr) continue;
    const MaskRule::Cover cover = rule->cover(where);
    if (cover == MaskRule::Cover::partial) rule->mask(edited);
    if (cover != MaskRule::Cover::none) continue;
    for (std::int64_t member = 0; member < scores.extent(0); ++member)
      for (std::int64_t query = 0; query < scores.extent(1); ++query)
        std::ranges::fill(scores[member].row(query), kLowest);
  }
}

void QueryBlock::add(const KvTile& tile, const TileScores& scored) {
  const std::int64_t first = scored.first_row;
  if (args_.weighting != nullptr) {
    ScoreTile weighed = tile_of(tile, scored);
    args_.weighting->weigh(weighed, seen(scored));
  } else {
    softmax_step({.scores = scored.scores,
                  .rows = scored.rows,
                  .columns = scored.columns,
                  .maximum = maximum_ + first,
                  .sums = sums_ + first * kSoftmaxSums,
                  .out = out_ + first * value_stride_,
                  .width = value_stride_});
  }
  add_values(tile, scored, kTileRows);
}

void QueryBlock::add_values(const KvTile& tile, const TileScores& weights, std::int64_t stride_of_weights) {
  if (is_bf16_) return add_values_bf16(tile, weights, stride_of_weights);
  const int rows = weights.columns;
  TileProduct product{.a = weights.scores,
                      .a_stride = stride_of_weights,
                      .out = out_ + static_cast<std::int64_t>(weights.first_row) * value_stride_,
                      .out_stride = value_stride_,
                      .rows = weights.rows,
                      .columns = shape_.value_dim,
                      .depth = rows,
                      .accumulate = true};
  if (tile.value_codes.codes != nullptr) {
    for (int row = 0; row < weights.rows; ++row)
      multiply(tile.value_codes.scales, rows, weights.scores + static_cast<std::int64_t>(row) * stride_of_weights);
    product.b_stride = shape_.value_dim;
    tile_product_codes(product, tile.value_codes.codes);
    return;
  }
  if (tile.value_codes.bf16 != nullptr) {
    product.b_stride = shape_.value_dim;
    return tile_product_bf16(product, tile.value_codes.bf16);
  }
  if (tile.value_codes.nibbles != nullptr) return add_nibble_values(product, tile.value_codes);
  const float* values = tile.values.data();
  std::int64_t stride = tile.values.stride(0);
  if (shape_.value_dim % 16 != 0) {  // the product reads whole vectors, which must not leave the source's memory
    for (int row = 0; row < rows; ++row) {
      float* to = values_ + static_cast<std::int64_t>(row) * value_stride_;
      std::copy_n(values + row * stride, shape_.value_dim, to);
      std::fill_n(to + shape_.value_dim, value_stride_ - shape_.value_dim, 0.0F);
    }
    values = values_;
    stride = value_stride_;
  }
  product.b = values;
  product.b_stride = stride;
  tile_product(product);
}

}  // namespace attnlab
