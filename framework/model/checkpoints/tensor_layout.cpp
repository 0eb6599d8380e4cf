#include "model/checkpoints/tensor_layout.h"

#include <charconv>
#include <utility>

namespace attnlab::model {
namespace {

constexpr std::string_view kLayers = "model.layers.";

// Numbers of a row: 1 for a vector, whose rows are its numbers.
std::int64_t width_of(const std::vector<std::int64_t>& shape) {
  return shape.size() < 2 ? 1 : shape[1];
}

std::vector<std::int64_t> with_rows(std::vector<std::int64_t> shape, std::int64_t rows) {
  shape.front() = rows;
  return shape;
}

}  // namespace

void TensorLayout::plus_one(std::string name, std::string stored) {
  entries_.push_back({.name = std::move(name), .stored = std::move(stored), .view = {.added = 1}});
}

void TensorLayout::rows(std::string name, std::string stored, std::vector<std::int64_t> shape, std::int64_t first,
                        std::int64_t stored_rows) {
  const std::int64_t width = width_of(shape);
  entries_.push_back({std::move(name),
                      std::move(stored),
                      with_rows(shape, stored_rows),
                      shape,
                      {.first = first * width, .row_stride = width}});
}

void TensorLayout::rows_of_heads(std::string name, std::string stored, std::vector<std::int64_t> shape,
                                 std::int64_t heads, std::int64_t first, std::int64_t group_rows) {
  const std::int64_t width = width_of(shape);
  entries_.push_back({std::move(name),
                      std::move(stored),
                      with_rows(shape, heads * group_rows),
                      shape,
                      {.first = first * width,
                       .row_stride = width,
                       .block = shape.front() / heads,
                       .block_stride = group_rows * width}});
}

void TensorLayout::columns(std::string name, std::string stored, std::vector<std::int64_t> shape, std::int64_t first,
                           std::int64_t stored_out, std::int64_t step) {
  entries_.push_back({std::move(name),
                      std::move(stored),
                      {shape[1], stored_out},
                      shape,
                      {.first = first, .row_stride = step, .column_stride = stored_out}});
}

void TensorLayout::columns_of(std::int64_t index, std::int64_t count, std::string name, std::string stored,
                              std::vector<std::int64_t> shape, std::int64_t first, std::int64_t stored_out,
                              std::int64_t step) {
  entries_.push_back(
      {std::move(name),
       std::move(stored),
       {count, shape[1], stored_out},
       shape,
       {.first = index * shape[1] * stored_out + first, .row_stride = step, .column_stride = stored_out}});
}

void TensorLayout::numbers_of(std::int64_t index, std::int64_t count, std::string name, std::string stored,
                              std::int64_t width, std::int64_t first, std::int64_t stored_width, std::int64_t step) {
  entries_.push_back({std::move(name),
                      std::move(stored),
                      {count, stored_width},
                      {width},
                      {.first = index * stored_width + first, .row_stride = step}});
}

bool TensorLayout::is_ignored(std::string_view stored) const {
  for (const std::string& ending : ignored_endings_)
    if (stored.ends_with(ending)) return true;
  if (ignored_from_ < 0 || !stored.starts_with(kLayers)) return false;
  const std::string_view number = stored.substr(kLayers.size());
  int layer = 0;
  const auto end = std::from_chars(number.data(), number.data() + number.size(), layer);
  return end.ec == std::errc() && end.ptr != number.data() + number.size() && *end.ptr == '.' && layer >= ignored_from_;
}

}  // namespace attnlab::model
