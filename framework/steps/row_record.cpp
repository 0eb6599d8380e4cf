#include "steps/row_record.h"

#include <algorithm>

namespace attnlab {

void RowRecord::begin_row(List& list, std::uint64_t history, Position position, int width) const {
  const bool goes_on = list.history == history && list.width == width && position > 0 && position <= list.length;
  if (!goes_on) {
    list = {};
    list.history = history;
    list.unseen = position;
    list.width = width;
  }
  list.unseen = std::min(list.unseen, position);
  list.length = position + 1;
  list.numbers.resize(static_cast<std::size_t>(list.length / stride_) * width);
}

void RowRecord::set(List& list, Position position, std::span<const float> key, std::span<const float> value) const {
  float* to = list.numbers.data() + static_cast<std::size_t>(position / stride_) * list.width;
  std::copy(value.begin(), value.end(), std::copy(key.begin(), key.end(), to));
}

std::span<const float> RowRecord::row(const List& list, Position position) const noexcept {
  if (!remembers(position) || position < list.unseen || position >= list.length) return {};
  return std::span(list.numbers).subspan(static_cast<std::size_t>(position / stride_) * list.width, list.width);
}

}  // namespace attnlab
