#include "conformance/storage_law_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include <attnlab/scratch.h>

#include "model/random_weights.h"

namespace attnlab::experiment::conformance {
namespace {

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

// A codec's rows in memory of the law's own.
class CodedRowsOf {
 public:
  CodedRowsOf(const RowCodec& codec, const Given& given, RowSide side, int width) : codec_(codec), width_(width) {
    const RowLayout layout = codec.layout();
    row_bytes_ = std::int64_t{layout.units} * layout.unit_bytes;
    units_.resize(static_cast<std::size_t>(row_bytes_) * kTileRows / sizeof(float) + 1);
    by_channel_.resize(units_.size());
    parameters_.resize(std::size_t(layout.parameters) * kTileRows);
    std::vector<float> parameters(layout.parameters + 1);
    std::byte* by_channel = reinterpret_cast<std::byte*>(by_channel_.data());
    for (int row = 0; row < kTileRows; ++row) {
      std::byte* units = bytes() + row * row_bytes_;
      codec.encode(given.row(side, 0, row).data(), parameters.data(), units);
      for (int p = 0; p < layout.parameters; ++p) parameters_[std::size_t(p) * kTileRows + row] = parameters[p];
      for (int u = 0; u < layout.units; ++u)
        std::memcpy(by_channel + (std::size_t(u) * kTileRows + row) * layout.unit_bytes, units + u * layout.unit_bytes,
                    layout.unit_bytes);
    }
  }

  // [kTileRows, width]
  [[nodiscard]] std::vector<float> in_pieces(int piece) {
    std::vector<float> all(std::size_t(kTileRows) * width_);
    for (int first = 0; first < kTileRows; first += piece)
      codec_.decode({bytes() + first * row_bytes_, row_bytes_, parameters_.data() + first, kTileRows,
                     std::min(piece, kTileRows - first)},
                    all.data() + std::ptrdiff_t(first) * width_, width_);
    return all;
  }
  [[nodiscard]] std::vector<float> by_channel(const ChannelDecoder& decoder) {
    std::vector<float> channels(std::size_t(kTileRows) * width_), all(channels.size());
    decoder.decode_channels(
        {reinterpret_cast<const std::byte*>(by_channel_.data()), std::int64_t{kTileRows} * codec_.layout().unit_bytes,
         parameters_.data(), kTileRows, kTileRows},
        channels.data(), kTileRows);
    for (int row = 0; row < kTileRows; ++row)
      for (int i = 0; i < width_; ++i) all[std::size_t(row) * width_ + i] = channels[std::size_t(i) * kTileRows + row];
    return all;
  }

 private:
  std::byte* bytes() { return reinterpret_cast<std::byte*>(units_.data()); }
  const RowCodec& codec_;
  int width_;
  std::int64_t row_bytes_;
  std::vector<float> units_, by_channel_;  // bytes, aligned
  std::vector<float> parameters_;          // [parameters, kTileRows]
};

}  // namespace

std::span<const float> Given::row(RowSide side, int head, int row) const {
  const int width = side == RowSide::keys ? shape.key_dim : shape.value_dim;
  const std::vector<float>& all = side == RowSide::keys ? keys : values;
  return std::span(all).subspan((std::size_t(row) * shape.kv_heads + head) * width, width);
}

bool HeldList::operator==(const HeldList& other) const {
  return same_bits(keys, other.keys) && same_bits(values, other.values) && same_bits(marks, other.marks) &&
         positions == other.positions;
}

Given given_rows(const KvShape& shape, int rows, std::uint64_t seed) {
  Given given{.shape = shape};
  const auto numbers = [&](std::vector<float>& to, const char* name, int width) {
    to.resize(std::size_t(rows) * shape.kv_heads * width);
    model::random_values(seed, name, 0, to, 1.0F);
  };
  numbers(given.keys, "keys", shape.key_dim);
  numbers(given.values, "values", shape.value_dim);
  numbers(given.marks, "marks", shape.marks);
  // What codes have an edge at: zeros, one number for all, and one that is much larger than the others.
  const std::size_t row = std::size_t(shape.kv_heads) * shape.key_dim;
  std::fill_n(given.keys.begin() + static_cast<std::ptrdiff_t>(3 * row), row, 0.0F);
  std::fill_n(given.keys.begin() + static_cast<std::ptrdiff_t>(5 * row), row, -0.7F);
  given.keys[7 * row + 1] = 500;
  given.positions.resize(rows);
  std::iota(given.positions.begin(), given.positions.end(), 0);
  return given;
}

void append(KvRows& rows, int sequence, const Given& given, int first, int count) {
  const auto view = [&](const std::vector<float>& all, int width) {
    return TensorView<const float, 3>(all.data(),
                                      {static_cast<std::int64_t>(given.positions.size()), given.shape.kv_heads, width})
        .slice(first, count);
  };
  const std::size_t of_row = std::size_t(given.shape.kv_heads) * given.shape.marks;
  rows.append(sequence, std::span(given.positions).subspan(first, count), view(given.keys, given.shape.key_dim),
              view(given.values, given.shape.value_dim),
              std::span(given.marks).subspan(first * of_row, count * of_row));
}

HeldList held_rows(const KvRows& rows, const KvShape& shape, int sequence, int head, int piece) {
  const int count = rows.rows(sequence, head);
  HeldList held;
  held.keys.resize(std::size_t(count) * shape.key_dim);
  held.values.resize(std::size_t(count) * shape.value_dim);
  for (int first = 0; first < count; first += piece == 0 ? count : piece) {
    const int some = std::min(piece == 0 ? count : piece, count - first);
    rows.read(sequence, head, first, {held.keys.data() + std::ptrdiff_t(first) * shape.key_dim, {some, shape.key_dim}},
              {held.values.data() + std::ptrdiff_t(first) * shape.value_dim, {some, shape.value_dim}});
  }
  const auto positions = rows.positions(sequence, head);
  held.positions.assign(positions.begin(), positions.end());
  Scratch memory;
  std::vector<Position> room(kTileRows);
  TileScratch scratch{memory.floats(std::int64_t{shape.key_dim} * kTileRows),
                      memory.floats(std::int64_t{shape.value_dim} * kTileRows), room};
  for (int index = 0; shape.marks > 0 && index < rows.tiles(sequence, head); ++index) {
    const KvTile tile = rows.tile(sequence, head, index, scratch);
    for (int row = 0; row < tile.rows(); ++row)
      held.marks.insert(held.marks.end(), &tile.marks(row, 0), &tile.marks(row, 0) + shape.marks);
  }
  return held;
}

std::vector<float> allowed_errors(const RowStorage& storage, RowSide side, const Given& given, int head, int rows) {
  const int width = side == RowSide::keys ? given.shape.key_dim : given.shape.value_dim;
  const SideCodec codec = storage.side(side).codec(side, width);
  const int settled = std::max(rows - storage.side(side).residual().value_or(0), 0);
  std::vector<float> allowed(rows, 0.0F);
  if (codec.rows != nullptr) {
    for (int row = 0; row < settled; ++row) allowed[row] = codec.rows->largest_error(given.row(side, head, row));
    return allowed;
  }
  const int group = codec.groups->rows();
  std::vector<float> channels(std::size_t(width) * group);
  for (int first = 0; first + group <= settled; first += group) {
    for (int row = 0; row < group; ++row)
      for (int i = 0; i < width; ++i) channels[std::size_t(i) * group + row] = given.row(side, head, first + row)[i];
    std::fill_n(allowed.begin() + first, group, codec.groups->largest_error(channels));
  }
  return allowed;
}

std::string cut_fault(const SideCodec& codec, const Given& given, RowSide side, int width) {
  if (codec.rows != nullptr) {
    CodedRowsOf rows(*codec.rows, given, side, width);
    const std::vector<float> whole = rows.in_pieces(kTileRows);
    for (const int piece : {1, 2, 7, 16, 33})
      if (!same_bits(rows.in_pieces(piece), whole)) return fmt::format("rows in pieces of {} have other bits", piece);
    if (codec.rows->channels() != nullptr && !same_bits(rows.by_channel(*codec.rows->channels()), whole))
      return "rows that lie channel by channel have other bits";
    return {};
  }
  const int group = codec.groups->rows();
  if (group > kGivenRows) return {};
  std::vector<float> channels(std::size_t(width) * group);
  for (int row = 0; row < group; ++row)
    for (int i = 0; i < width; ++i) channels[std::size_t(i) * group + row] = given.row(side, 0, row)[i];
  std::vector<float> held(codec.groups->bytes() / sizeof(float) + 1), whole(channels.size());
  auto* bytes = reinterpret_cast<std::byte*>(held.data());
  codec.groups->encode(channels.data(), bytes);
  codec.groups->decode(bytes, 0, group, whole.data(), group);
  for (const int piece : {1, 3, 16}) {
    std::vector<float> pieces(whole.size());
    for (int first = 0; first < group; first += piece)
      codec.groups->decode(bytes, first, std::min(piece, group - first), pieces.data() + first, group);
    if (!same_bits(pieces, whole)) return fmt::format("rows of a group in pieces of {} have other bits", piece);
  }
  return {};
}

}  // namespace attnlab::experiment::conformance
