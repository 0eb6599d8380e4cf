#include "tiles/tile_rotation.h"

#include <algorithm>
#include <array>
#include <numeric>

#define HWY_DISABLED_TARGETS HWY_AVX3_DL  // nothing here gains from it, and every target costs build time
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tiles/tile_rotation.cpp"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

#include <attnlab/scores.h>
#include <fmt/format.h>

#include "base/plugin_call.h"
#include "base/unrolled-inl.h"

#ifndef ATTNLAB_TURNED_TILE
#define ATTNLAB_TURNED_TILE
namespace attnlab {
// Channels of a tile that are turned in pairs, from channel `first` on.
struct TurnedPart {
  const float* from;  // [.., kTileRows], of the first
  const float*
      offsets;  // [pairs][cosines, sines][kTileRows]; null: `pairs` is a number of channels that are not turned
  int first;
  int pairs;
  int step;   // channels from a pair to the next
  int apart;  // and from the first of a pair to its second
};
// Queries that have been turned back by the angles of the tile's first row.
struct TurnedQueries {
  const float* queries;  // [rows, stride]
  std::int64_t stride;
  int rows;
  float* out;  // [rows, kTileRows]
  std::int64_t out_stride;
};
}  // namespace attnlab
#endif

HWY_BEFORE_NAMESPACE();
namespace attnlab::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::CappedTag<float, kTileRows>;
using V = hn::Vec<D>;

// What is read soon is asked for: between its loads there is more to do than the hardware looks ahead.
constexpr std::int64_t kAhead = 8 * kTileRows;
HWY_INLINE void fetch_channel(const float* numbers) {
  constexpr int line = 16;
  for (int row = 0; row < kTileRows; row += line) __builtin_prefetch(numbers + kAhead + row);
}

// By angles [cosines, sines][pairs] of the first row, and those of the rows after it.
void turn_target(const TurnedPart& part, const float* angles, float* to_first) {
  const D d;
  const std::int64_t apart = std::int64_t{part.apart} * kTileRows;
  for (int pair = 0; pair < part.pairs; ++pair) {
    const float* x = part.from + std::int64_t{pair} * part.step * kTileRows;
    float* to = to_first + std::int64_t{pair} * part.step * kTileRows;
    const float* offsets = part.offsets + std::int64_t{pair} * 2 * kTileRows;
    fetch_channel(x);
    fetch_channel(x + apart);
    const V c = hn::Set(d, angles[pair]), s = hn::Set(d, angles[part.pairs + pair]);
    for (int row = 0; row < kTileRows; row += static_cast<int>(hn::Lanes(d))) {
      const V offset_c = hn::Load(d, offsets + row), offset_s = hn::Load(d, offsets + kTileRows + row);
      const V row_c = hn::NegMulAdd(s, offset_s, hn::Mul(c, offset_c));
      const V row_s = hn::MulAdd(s, offset_c, hn::Mul(c, offset_s));
      const V a = hn::LoadU(d, x + row), b = hn::LoadU(d, x + apart + row);
      hn::StoreU(hn::NegMulAdd(b, row_s, hn::Mul(a, row_c)), d, to + row);
      hn::StoreU(hn::MulAdd(a, row_s, hn::Mul(b, row_c)), d, to + apart + row);
    }
  }
}

// Sums of Rows queries over Vectors vectors of keys, which are turned on the way and kept nowhere.
template <int Rows, int Vectors>
class TurnedSums {
 public:
  TurnedSums(const TurnedQueries& queries, int column)
      : queries_(queries.queries), stride_(queries.stride), column_(column) {
    for_each_pair<Rows, Vectors>([&](auto r, auto v) ATTNLAB_INLINED { sums_[r][v] = hn::Zero(D()); });
  }
  HWY_INLINE void add(const TurnedPart& part) {
    const D d;
    const float* x = part.from + column_;
    const float* offsets = part.offsets + column_;
    for (int pair = 0; pair < part.pairs; ++pair) {
      const int channel = part.first + pair * part.step;
      const float* y = x + std::int64_t{part.apart} * kTileRows;
      if (column_ == 0) {
        fetch_channel(x);
        fetch_channel(y);
      }
      V first[Vectors], second[Vectors];
      for_each_of<Vectors>([&](auto v) ATTNLAB_INLINED {
        const int at = v * static_cast<int>(hn::Lanes(d));
        const V c = hn::Load(d, offsets + at), s = hn::Load(d, offsets + kTileRows + at);
        const V a = hn::LoadU(d, x + at), b = hn::LoadU(d, y + at);
        first[v] = hn::NegMulAdd(b, s, hn::Mul(a, c));
        second[v] = hn::MulAdd(a, s, hn::Mul(b, c));
      });
      add_channel(channel, first);
      add_channel(channel + part.apart, second);
      x += std::int64_t{part.step} * kTileRows;
      offsets += 2 * kTileRows;
    }
  }
  HWY_INLINE void add_unturned(const TurnedPart& part) {
    const D d;
    for (int channel = 0; channel < part.pairs; ++channel) {
      const float* x = part.from + std::int64_t{channel} * kTileRows + column_;
      V keys[Vectors];
      for_each_of<Vectors>([&](auto v)
                               ATTNLAB_INLINED { keys[v] = hn::LoadU(d, x + v * static_cast<int>(hn::Lanes(d))); });
      add_channel(part.first + channel, keys);
    }
  }
  HWY_INLINE void store(float* out, std::int64_t stride) const {
    const D d;
    for_each_pair<Rows, Vectors>([&](auto r, auto v) ATTNLAB_INLINED {
      hn::StoreU(sums_[r][v], d, out + r * stride + column_ + v * static_cast<int>(hn::Lanes(d)));
    });
  }

 private:
  HWY_INLINE void add_channel(int channel, const V (&keys)[Vectors]) {
    for_each_of<Rows>([&](auto r) ATTNLAB_INLINED {
      const V q = hn::Set(D(), queries_[r * stride_ + channel]);
      for_each_of<Vectors>([&](auto v) ATTNLAB_INLINED { sums_[r][v] = hn::MulAdd(q, keys[v], sums_[r][v]); });
    });
  }

  V sums_[Rows][Vectors];
  const float* queries_;
  std::int64_t stride_;
  int column_;
};

template <int Rows>
HWY_INLINE void multiply_rows(const TurnedQueries& q, const TurnedPart* parts, int count) {
  constexpr int vectors = HWY_MAX_BYTES >= 64 ? 4 : 2;
  const int step = vectors * static_cast<int>(hn::Lanes(D()));
  for (int column = 0; column < kTileRows; column += step) {
    TurnedSums<Rows, vectors> sums(q, column);
    for (const TurnedPart* part = parts; part != parts + count; ++part) {
      if (part->offsets != nullptr)
        sums.add(*part);
      else
        sums.add_unturned(*part);
    }
    sums.store(q.out, q.out_stride);
  }
}

void multiply_target(const TurnedQueries& q, const TurnedPart* parts, int count) {
  switch (q.rows) {
    case 1:
      return multiply_rows<1>(q, parts, count);
    case 2:
      return multiply_rows<2>(q, parts, count);
    case 3:
      return multiply_rows<3>(q, parts, count);
    default:
      return multiply_rows<4>(q, parts, count);
  }
}

}  // namespace attnlab::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attnlab {

HWY_EXPORT(turn_target);
HWY_EXPORT(multiply_target);

namespace {
constexpr int kMostTurned = 8;  // tiles: rounded angles are put together no oftener
}  // namespace

TileRotation::TileRotation(const Rotation& rotation, const KvShape& shape, Position length, Scratch& scratch)
    : rotation_(&rotation), shape_(shape), length_(length) {
  const TurnedPairs turned = rotation.pairs();
  const bool by_halves = turned.order == TurnedPairs::Order::halves;
  if (turned.width < 0 || turned.width % 2 != 0 || turned.width > shape.rotation_width())
    broken_rule(fmt::format("a rotation that turns pairs of {} channels of {}", turned.width, shape.rotation_width()),
                "`pairs` says an even number of the channels that are rotated");
  pairs_ = turned.width / 2;
  step_ = by_halves ? 1 : 2;
  apart_ = by_halves ? pairs_ : 1;
  if (pairs_ == 0) return;
  float* const offsets = scratch.floats(std::int64_t{pairs_} * 2 * kTileRows).data();
  float* const of_tile = scratch.floats(std::int64_t{pairs_} * 2).data();
  const Scratch::Scope scope(scratch);
  const TensorView<float, 3> rows = scratch.rows(kTileRows + 1, 1, shape.rotation_width());
  std::array<Position, kTileRows + 1> positions;
  std::iota(positions.begin(), positions.end(), 0);
  rotate_ones(positions, rows);
  for (int pair = 0; pair < pairs_; ++pair) {
    const int channel = pair * step_;
    const float magnitude = rows(0, 0, channel);  // is in the angles of a tile's first row too
    float* const of_pair = offsets + std::int64_t{pair} * 2 * kTileRows;
    for (int row = 0; row < kTileRows; ++row) {
      of_pair[row] = rows(row, 0, channel) / magnitude;
      of_pair[kTileRows + row] = rows(row, 0, channel + apart_) / magnitude;
    }
    of_tile[pair] = rows(kTileRows, 0, channel) / magnitude;
    of_tile[pairs_ + pair] = rows(kTileRows, 0, channel + apart_) / magnitude;
  }
  offsets_ = offsets;
  of_tile_ = of_tile;
}

TileRotation::First TileRotation::make_first(Scratch& scratch) const {
  const std::int64_t count = std::int64_t{pairs_} * 2;
  return {.angles = reinterpret_cast<double*>(scratch.floats(2 * count).data()),
          .rounded = scratch.floats(std::max<std::int64_t>(count, shape_.rotation_width())).data(),
          .queries = scratch.floats(std::int64_t{shape_.key_dim} * kFewQueries).data()};
}

void TileRotation::rotate_ones(std::span<const Position> positions, TensorView<float, 3> rows) const noexcept {
  std::fill_n(rows.data(), rows.elements(), 0.0F);
  for (std::int64_t row = 0; row < rows.extent(0); ++row)
    for (int pair = 0; pair < pairs_; ++pair) rows(row, 0, pair * step_) = 1;
  rotation_->rotate({positions, length_, RotateSide::key}, rows);
}

bool TileRotation::turns(std::span<const Position> positions) const noexcept {
  if (offsets_ == nullptr) return false;
  bool follow = true;
  for (std::size_t row = 0; row < positions.size(); ++row)
    follow = follow & (positions[row] == positions[0] + static_cast<Position>(row));
  return follow;
}

void TileRotation::find(Position position, First& first) const noexcept {
  double* const cosine = first.angles;
  double* const sine = first.angles + pairs_;
  if (first.turned >= 0 && first.turned < kMostTurned && position == first.position + kTileRows) {
    ++first.turned;
    for (int pair = 0; pair < pairs_; ++pair) {
      const double c = of_tile_[pair], s = of_tile_[pairs_ + pair];
      const double turned = cosine[pair] * c - sine[pair] * s;
      sine[pair] = sine[pair] * c + cosine[pair] * s;
      cosine[pair] = turned;
    }
  } else if (first.turned < 0 || position != first.position) {
    float* const row = first.rounded;
    rotate_ones({&position, 1}, {row, {1, 1, shape_.rotation_width()}});
    for (int pair = 0; pair < pairs_; ++pair) {
      cosine[pair] = row[pair * step_];
      sine[pair] = row[pair * step_ + apart_];
    }
    first.turned = 0;
  }
  first.position = position;
  std::transform(cosine, cosine + std::ptrdiff_t{2} * pairs_, first.rounded,
                 [](double number) { return static_cast<float>(number); });
}

template <class Part>
void TileRotation::for_each_part(const Part& part) const {
  const int width = shape_.rotation_width(), turned = 2 * pairs_;
  part(0, shape_.rotated_first, false);
  for (int repeat = 0; repeat < shape_.rotated_repeats; ++repeat) {
    const int channel = shape_.rotated_first + repeat * width;
    part(channel, turned, true);
    part(channel + turned, width - turned, false);
  }
  const int end = shape_.rotated_first + shape_.rotated_repeats * width;
  part(end, shape_.key_dim - end, false);
}

void TileRotation::turn(Position position, First& first, const float* from, float* to) const noexcept {
  find(position, first);
  for_each_part([&](int channel, int count, bool is_turned) {
    const std::int64_t at = std::int64_t{channel} * kTileRows;
    if (is_turned) HWY_DYNAMIC_DISPATCH(turn_target)
    ({from + at, offsets_, channel, pairs_, step_, apart_}, first.rounded, to + at);
    else if (from != to) std::copy_n(from + at, std::int64_t{count} * kTileRows, to + at);
  });
}

// Of one query; the transpose of a turn.
void TileRotation::turn_back(const First& first, const float* query, float* to) const noexcept {
  const float* cosine = first.rounded;
  const float* sine = first.rounded + pairs_;
  for (int pair = 0; pair < pairs_; ++pair) {
    const float x = query[pair * step_], y = query[pair * step_ + apart_];
    to[pair * step_] = x * cosine[pair] + y * sine[pair];
    to[pair * step_ + apart_] = y * cosine[pair] - x * sine[pair];
  }
}

bool TileRotation::multiplies(int rows) const noexcept {
  return offsets_ != nullptr && rows <= kFewQueries && 2 + 2 * shape_.rotated_repeats <= kMostParts;
}

void TileRotation::multiply(Position position, First& first, const float* from,
                            const TileProduct& product) const noexcept {
  find(position, first);
  const int width = shape_.key_dim;
  std::array<TurnedPart, kMostParts> parts;
  int count = 0;
  for_each_part([&](int channel, int channels, bool is_turned) {
    if (channels == 0) return;
    parts[count++] = {from + std::int64_t{channel} * kTileRows,
                      is_turned ? offsets_ : nullptr,
                      channel,
                      is_turned ? pairs_ : channels,
                      step_,
                      apart_};
    for (int row = 0; row < product.rows; ++row) {
      const float* q = product.a + row * product.a_stride + channel;
      float* to = first.queries + row * width + channel;
      if (is_turned)
        turn_back(first, q, to);
      else
        std::copy_n(q, channels, to);
    }
  });
  const TurnedQueries queries{first.queries, width, product.rows, product.out, product.out_stride};
  HWY_DYNAMIC_DISPATCH(multiply_target)(queries, parts.data(), count);
}

}  // namespace attnlab
#endif
