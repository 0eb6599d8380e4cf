#include "rows/row_storage.h"

#include <algorithm>
#include <tuple>
#include <vector>

#include "rows/checked_rows.h"
#include "rows/stored_rows.h"

namespace attnlab {
namespace {

std::unique_ptr<SideRows> side_of(const Storage& storage, SideCodec codec, const SideFormat& format) {
  const std::optional<int> residual = storage.residual();
  if (residual) return settled_side(format, std::move(codec), *residual);
  ATTNLAB_CHECK(codec.rows != nullptr, "a codec of groups without a residual, which the registry refuses");
  return direct_side(format, std::move(codec.rows));
}

Traits both(const Traits& a, const Traits& b) {
  return {a.provides | b.provides, a.needs | b.needs, a.excludes | b.excludes};
}

double of_index(const KvShape& shape) {
  return sizeof(Position) + static_cast<double>(sizeof(float)) * shape.marks;
}

}  // namespace

RowStorage::RowStorage(DeclaredStorage keys, DeclaredStorage values, int page)
    : keys_(std::move(keys)), values_(std::move(values)), traits_(both(keys_.traits, values_.traits)), page_(page) {}

Rounding RowStorage::rounding() const noexcept {
  Rounding worst = Rounding::none;
  for (const DeclaredStorage* side : {&keys_, &values_}) {
    if (!side->traits.provides.has(Feature::rounded_rows)) continue;
    if (side->storage->residual()) return Rounding::after_prompt;
    worst = Rounding::when_appended;
  }
  return worst;
}

namespace {

RowSides sides_of(const RowStorage& storage, const KvShape& shape, int sequences, int capacity) {
  RowSides sides;
  if (shape.kv_heads == 0) {  // of a layer without rows: nothing is held, but a cache there is
    const KvShape narrow{.key_dim = 1, .value_dim = 1};
    const Storage& of_keys = storage.side(RowSide::keys);
    sides.keys = side_of(of_keys, of_keys.codec(RowSide::keys, 1), key_format(narrow, 0, sequences, 0));
    return sides;
  }
  sides.are_fixed = storage.traits().provides.has(Feature::fixed_rows);
  const Storage& of_keys = storage.side(RowSide::keys);
  const Storage& of_values = storage.side(RowSide::values);
  const SideFormat keys = key_format(shape, storage.page(), sequences, capacity);
  const SideFormat values = value_format(shape, storage.page(), sequences, capacity);
  SideCodec key_codec = of_keys.codec(RowSide::keys, shape.key_dim);
  if (shape.value_is_key_prefix) {
    sides.keys = side_of(of_keys, std::move(key_codec), keys);
    return sides;
  }
  SideCodec value_codec = of_values.codec(RowSide::values, shape.value_dim);
  if (!of_keys.residual() && !of_values.residual()) {
    std::tie(sides.keys, sides.values) =
        direct_sides(keys, std::move(key_codec.rows), values, std::move(value_codec.rows));
    return sides;
  }
  sides.keys = side_of(of_keys, std::move(key_codec), keys);
  sides.values = side_of(of_values, std::move(value_codec), values);
  return sides;
}

}  // namespace

std::unique_ptr<KvRows> RowStorage::make_rows(const KvShape& shape, int sequences, int capacity) const {
  return checked_rows(stored_rows_of(sides_of(*this, shape, sequences, capacity), shape, sequences, capacity), shape,
                      sequences);
}

double RowStorage::row_bytes(const KvShape& shape) const {
  const RowSides sides = sides_of(*this, shape, 0, 0);
  return sides.keys->row_bytes() + (sides.values == nullptr ? 0 : sides.values->row_bytes()) + of_index(shape);
}

namespace {

// The declared error relative to the largest number, over rows that are hard in different ways: all alike, of both
// signs in turn, and one number alone.
double step_of(const SideCodec& codec, int width) {
  const int rows = codec.groups == nullptr ? 1 : codec.groups->rows();
  std::vector<float> numbers(static_cast<std::size_t>(width) * rows);
  double worst = 0;
  for (const int period : {1, 2, static_cast<int>(numbers.size())}) {
    for (std::size_t i = 0; i < numbers.size(); ++i)
      numbers[i] = period <= 2 ? (i % 2 == 1 && period == 2 ? -1.0F : 1.0F) : (i == 0 ? 1.0F : 0.0F);
    const float error =
        codec.groups == nullptr ? codec.rows->largest_error(numbers) : codec.groups->largest_error(numbers);
    worst = std::max(worst, static_cast<double>(error));
  }
  constexpr double kRoundedFactors = 1 + 1e-5;
  return kRoundedFactors * worst;
}

}  // namespace

double RowStorage::row_step(const KvShape& shape) const {
  if (shape.kv_heads == 0) return 0;
  const double of_keys = step_of(side(RowSide::keys).codec(RowSide::keys, shape.key_dim), shape.key_dim);
  if (shape.value_is_key_prefix) return of_keys;
  return std::max(of_keys, step_of(side(RowSide::values).codec(RowSide::values, shape.value_dim), shape.value_dim));
}

double RowStorage::list_bytes(const KvShape& shape, int rows) const {
  const RowSides sides = sides_of(*this, shape, 0, 0);
  return sides.keys->list_bytes(rows) + (sides.values == nullptr ? 0 : sides.values->list_bytes(rows)) +
         of_index(shape) * rows;
}

}  // namespace attnlab
