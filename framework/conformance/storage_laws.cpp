#include "conformance/storage_laws.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include <attnlab/error.h>
#include <attnlab/ops.h>

#include "conformance/storage_law_rows.h"

namespace attnlab::experiment::conformance {
namespace {

const RowStorage& storage_of(const Subject& subject) {
  return *subject.arm().layers.front().cache.rows;
}

Finding broken(std::string what) {
  return {1, 0, std::move(what)};
}

template <class Function>
bool throws_error(const Function& function) {
  try {
    function();
    return false;
  } catch (const Error&) {
    return true;
  }
}

}  // namespace

std::optional<Finding> reads_back(Subject& subject, Kind kind) {
  if (kind != Kind::storage) return std::nullopt;
  const RowStorage& storage = storage_of(subject);
  Finding worst{0, 1, "of the declared error"};
  for (const KvShape& shape : {kGivenShape, kPrefixShape}) {
    const Given given = given_rows(shape, kGivenRows, 3);
    const auto rows = storage.make_rows(shape, 1, 0);
    append(*rows, 0, given, 0, kGivenRows);
    rows->settle(0);
    for (int head = 0; head < shape.kv_heads; ++head) {
      const HeldList held = held_rows(*rows, shape, 0, head);
      for (const RowSide side : {RowSide::keys, RowSide::values}) {
        const bool is_prefix = side == RowSide::values && shape.value_is_key_prefix;
        const RowSide source = is_prefix ? RowSide::keys : side;
        const std::vector<float> allowed = allowed_errors(storage, source, given, head, kGivenRows);
        const int width = side == RowSide::keys ? shape.key_dim : shape.value_dim;
        const std::vector<float>& found = side == RowSide::keys ? held.keys : held.values;
        for (int row = 0; row < kGivenRows; ++row)
          for (int i = 0; i < width; ++i) {
            const float right = given.row(source, head, row)[i];
            const double off = std::abs(double{found[std::size_t(row) * width + i]} - right);
            if (off == 0) continue;
            const double share = allowed[row] > 0 ? off / allowed[row] : std::numeric_limits<double>::infinity();
            if (!(share <= worst.deviation))
              worst = {
                  share, 1,
                  fmt::format("of the declared error, {} of row {}", side == RowSide::keys ? "key" : "value", row)};
          }
      }
      if (held.marks.size() != std::size_t(kGivenRows) * shape.marks)
        return broken("marks are not those that were given");
      for (int row = 0; row < kGivenRows; ++row)
        for (int i = 0; i < shape.marks; ++i)
          if (held.marks[std::size_t(row) * shape.marks + i] !=
              given.marks[(std::size_t(row) * shape.kv_heads + head) * shape.marks + i])
            return broken("marks are not those that were given");
    }
  }
  return worst;
}

std::optional<Finding> row_bytes_are_exact(Subject& subject, Kind kind) {
  if (kind != Kind::storage) return std::nullopt;
  const RowStorage& storage = storage_of(subject);
  constexpr int kFull = 2 * kTileRows;
  const Given given = given_rows(kGivenShape, kFull, 5);
  const auto rows = storage.make_rows(kGivenShape, 1, 0);
  append(*rows, 0, given, 0, kFull);
  const auto held = static_cast<double>(rows->bytes());
  const bool settles = storage.side(RowSide::keys).residual().has_value();
  // Rows that settle are held as they are at first.
  const double row =
      settles ? sizeof(float) * (kGivenShape.key_dim + kGivenShape.value_dim + kGivenShape.marks) + sizeof(Position)
              : storage.row_bytes(kGivenShape);
  const double right = row * kFull * kGivenShape.kv_heads;
  if (held != right) return Finding{std::abs(held - right), 0, fmt::format("{} bytes held, {} by row", held, right)};
  if (settles) rows->settle(0);
  const double most = storage.list_bytes(kGivenShape, kFull) * kGivenShape.kv_heads;
  const auto now = static_cast<double>(rows->bytes());
  if (settles ? now > std::max(most, held) : now != most)
    return Finding{std::abs(now - most), 0, fmt::format("{} bytes held, {} by list", now, most)};
  return Finding{0, 0,
                 fmt::format("{} bytes a row of {} numbers", storage.row_bytes(kGivenShape),
                             kGivenShape.key_dim + kGivenShape.value_dim)};
}

std::optional<Finding> any_cut_reads_the_same(Subject& subject, Kind kind) {
  if (kind != Kind::storage) return std::nullopt;
  const RowStorage& storage = storage_of(subject);
  const Given of_codec = given_rows(kGivenShape, kGivenRows, 6);
  for (const auto& [side, width] :
       {std::pair{RowSide::keys, kGivenShape.key_dim}, {RowSide::values, kGivenShape.value_dim}})
    if (std::string fault = cut_fault(storage.side(side).codec(side, width), of_codec, side, width); !fault.empty())
      return broken(std::move(fault));
  for (const KvShape& shape : {kGivenShape, kPrefixShape}) {
    const Given given = given_rows(shape, kGivenRows, 7);
    const auto rows = storage.make_rows(shape, 1, 0);
    append(*rows, 0, given, 0, kGivenRows);
    rows->settle(0);
    const HeldList whole = held_rows(*rows, shape, 0, 0);
    for (const int piece : {1, 7, 64, 100})
      if (!(held_rows(*rows, shape, 0, 0, piece) == whole))
        return broken(fmt::format("rows read in pieces of {} have other bits", piece));
    std::vector<HeldList> of_threads(16);
    for_each_index(static_cast<int>(of_threads.size()),
                   [&](int index) { of_threads[index] = held_rows(*rows, shape, 0, 0, index + 1); });
    for (const HeldList& held : of_threads)
      if (!(held == whole)) return broken("rows read from several threads have other bits");
  }
  return Finding{};
}

std::optional<Finding> other_rows_change_nothing(Subject& subject, Kind kind) {
  if (kind != Kind::storage) return std::nullopt;
  const RowStorage& storage = storage_of(subject);
  const bool has_single_rows = !storage.traits().provides.has(Feature::whole_groups);
  const Given given = given_rows(kGivenShape, kGivenRows, 9);
  const auto rows = storage.make_rows(kGivenShape, 4, 0);
  append(*rows, 0, given, 0, kGivenRows);
  rows->settle(0);
  const HeldList whole = held_rows(*rows, kGivenShape, 0, 1);
  const auto is_whole = [&](int sequence) { return held_rows(*rows, kGivenShape, sequence, 1) == whole; };
  for (int first = 0; first < kGivenRows; first += 37) append(*rows, 1, given, first, std::min(37, kGivenRows - first));
  rows->settle(1);
  if (!is_whole(1)) return broken("rows that are appended in pieces have other bits");

  const std::size_t bytes = rows->bytes();
  rows->fork(0, 2);
  const std::size_t lists =
      std::size_t(kGivenRows) * kGivenShape.kv_heads * (sizeof(Position) + kGivenMarks * sizeof(float));
  if (rows->bytes() != bytes + lists) return broken("a fork takes more than positions and marks");
  append(*rows, 2, given, 0, 50);
  if (!is_whole(0)) return broken("rows changed when their fork went on");
  rows->clear(2);
  if (!is_whole(0)) return broken("rows changed when their fork was cleared");

  append(*rows, 3, given, 0, 100);
  append(*rows, 3, given, 100, 17);
  rows->truncate(3, 100);
  append(*rows, 3, given, 100, kGivenRows - 100);
  rows->settle(3);
  if (!is_whole(3)) return broken("rows that were taken back leave a trace");

  StateWriter saved;
  rows->save(0, saved);
  StateReader state(saved.bytes());
  rows->restore(2, state);
  if (!is_whole(2)) return broken("restored rows have other bits");

  if (!has_single_rows) return Finding{};
  std::vector<int> dropped{0, 5, 63, 64, 200};
  rows->drop(2, 1, dropped);
  if (!is_whole(0)) return broken("rows changed when another sequence dropped some");
  const HeldList left = held_rows(*rows, kGivenShape, 2, 1);
  for (std::size_t row = 0; row < left.positions.size(); ++row) {
    const auto was = static_cast<std::size_t>(left.positions[row]);
    const bool is_same = std::equal(left.keys.begin() + static_cast<std::ptrdiff_t>(row * kGivenShape.key_dim),
                                    left.keys.begin() + static_cast<std::ptrdiff_t>((row + 1) * kGivenShape.key_dim),
                                    whole.keys.begin() + static_cast<std::ptrdiff_t>(was * kGivenShape.key_dim));
    if (!is_same) return broken(fmt::format("row {} changed when others were dropped", was));
  }
  return Finding{};
}

std::optional<Finding> wrong_sizes_are_refused(Subject& subject, Kind kind) {
  if (kind != Kind::storage) return std::nullopt;
  const RowStorage& storage = storage_of(subject);
  const Given given = given_rows(kGivenShape, 10, 11);
  const auto rows = storage.make_rows(kGivenShape, 1, 0);
  append(*rows, 0, given, 0, 10);
  const auto view = [&](int width) { return TensorView<const float, 3>(given.keys.data(), {1, 2, width}); };
  const Position next[] = {10};
  std::vector<float> numbers(1000);
  const std::span<float> all(numbers);
  const auto room = [&](int count, int width) { return TensorView<float, 2>(all.data(), {count, width}); };
  const std::pair<const char*, std::function<void()>> wrong[] = {
      {"keys of another width", [&] { rows->append(0, next, view(63), view(32), all.first(4)); }},
      {"values of another width", [&] { rows->append(0, next, view(64), view(64), all.first(4)); }},
      {"rows without their marks", [&] { rows->append(0, next, view(64), view(32)); }},
      {"a key of another width", [&] { rows->replace(0, 0, 0, all.first(63), all.first(32)); }},
      {"a row that is not there", [&] { rows->replace(0, 0, 10, all.first(64), all.first(32)); }},
      {"room of another width", [&] { rows->read(0, 0, 0, room(1, 63), {}); }},
      {"more rows than there are", [&] { rows->read(0, 0, 5, room(6, 64), {}); }},
      {"a sequence that is not there", [&] { rows->fork(0, 1); }}};
  for (const auto& [what, attempt] : wrong)
    if (!throws_error(attempt)) return broken(std::string("takes ") + what);
  // Widths are held, or refused.
  for (const int width : {1, 2, 3, 24, 33, 128}) {
    const KvShape shape{.kv_heads = 1, .key_dim = width, .value_dim = width};
    try {
      const auto of_width = storage.make_rows(shape, 1, 0);
      append(*of_width, 0, given_rows(shape, 70, 13), 0, 70);
      of_width->settle(0);
      for (const float x : held_rows(*of_width, shape, 0, 0).keys)
        if (!std::isfinite(x)) return broken(fmt::format("rows of {} numbers come back as none", width));
    } catch (const Error&) {
    }
  }
  return Finding{};
}

std::optional<Finding> false_storage_trait(const Subject& subject) {
  const RowStorage& storage = storage_of(subject);
  const auto says = [&](Feature feature) { return storage.traits().provides.has(feature); };
  const bool settles = storage.side(RowSide::keys).residual().has_value();
  if (says(Feature::whole_groups) != settles || storage.traits().excludes.has(Feature::token_eviction) != settles)
    return broken(settles ? "has a residual, but does not provide whole_groups and exclude token_eviction"
                          : "says that its rows go in groups, but has no residual");
  const Given given = given_rows(kGivenShape, kGivenRows, 15);
  const auto rows = storage.make_rows(kGivenShape, 1, 0);
  append(*rows, 0, given, 0, kGivenRows);
  rows->settle(0);
  bool is_rounded = false;
  for (int head = 0; head < kGivenShape.kv_heads; ++head) {
    const HeldList held = held_rows(*rows, kGivenShape, 0, head);
    for (int row = 0; row < kGivenRows; ++row) {
      const auto key = std::span(held.keys).subspan(std::size_t(row) * kGivenShape.key_dim, kGivenShape.key_dim);
      is_rounded = is_rounded || !std::ranges::equal(key, given.row(RowSide::keys, head, row));
    }
  }
  if (says(Feature::rounded_rows) != is_rounded)
    return broken(is_rounded ? "rounds rows, but does not provide rounded_rows"
                             : "provides rounded_rows, but rows come back as they were");
  const std::vector<float> key(kGivenShape.key_dim, 0.5F), value(kGivenShape.value_dim, 0.25F);
  const bool is_fixed = throws_error([&] { rows->replace(0, 0, 4, key, value); });
  if (says(Feature::fixed_rows) != is_fixed)
    return broken(is_fixed ? "refuses to replace rows, but does not provide fixed_rows"
                           : "provides fixed_rows, but rows can be replaced");
  if (is_fixed) return std::nullopt;
  const HeldList held = held_rows(*rows, kGivenShape, 0, 0);
  const SideCodec codec = storage.side(RowSide::keys).codec(RowSide::keys, kGivenShape.key_dim);
  for (int i = 0; i < kGivenShape.key_dim; ++i)
    if (std::abs(held.keys[std::size_t(4) * kGivenShape.key_dim + i] - key[i]) > codec.rows->largest_error(key))
      return broken("a row that was replaced is not read back");
  return std::nullopt;
}

}  // namespace attnlab::experiment::conformance
