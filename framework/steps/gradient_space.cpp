#include "steps/gradient_space.h"

#include <algorithm>
#include <new>

namespace attnlab {

GradientSpace::Joined GradientSpace::join(Ranges& ranges, const float* first, const float* end) {
  Joined joined{.first = first, .end = end};
  if (first == end) return joined;
  // The range that begins before `first` and reaches into it, and all that begin before the end, become one.
  auto next = ranges.upper_bound(first);
  if (next != ranges.begin() && std::prev(next)->second > first) --next;
  while (next != ranges.end() && next->first < joined.end) {
    joined.met = true;
    joined.first = std::min(joined.first, next->first);
    joined.end = std::max(joined.end, next->second);
    next = ranges.erase(next);
  }
  ranges[joined.first] = joined.end;
  return joined;
}

bool GradientSpace::write(const float* first, const float* end) {
  const auto [met, from, to] = join(written_, first, end);
  if (from == to) return met;
  for (const Scratch::Part& part : arena_.parts())
    if (from >= part.first && from < part.first + part.floats) {
      if (find(twins_, from, to) == nullptr) twins_.push_back(make(part.first, part.floats));
      return met;
    }
  if (find(outside_, from, to) != nullptr) return met;
  // A forward pass adds nothing to gradients: smaller twins of parts of the buffer hold zeros.
  std::erase_if(outside_, [&](const Twin& twin) { return twin.first < to && from < twin.first + twin.floats; });
  outside_.push_back(make(from, static_cast<std::size_t>(to - from)));
  return met;
}

// Ranges that touch are one: a buffer may be written in slices.
bool GradientSpace::is_written(const float* first, const float* end) const {
  while (first < end) {
    const auto next = written_.upper_bound(first);
    if (next == written_.begin() || std::prev(next)->second <= first) return false;
    first = std::prev(next)->second;
  }
  return true;
}

bool GradientSpace::was_read(const float* first, const float* end) const {
  const auto next = read_.lower_bound(end);
  return first != end && next != read_.begin() && std::prev(next)->second > first;
}

GradientSpace::Twin GradientSpace::make(const float* first, std::size_t floats) {
  auto* memory = static_cast<float*>(std::calloc(floats, sizeof(float)));
  if (memory == nullptr) throw std::bad_alloc();
  return {first, floats, std::unique_ptr<float, Free>(memory)};
}

const GradientSpace::Twin* GradientSpace::find(const std::vector<Twin>& twins, const float* first, const float* end) {
  for (const Twin& twin : twins)
    if (first >= twin.first && end <= twin.first + twin.floats) return &twin;
  return nullptr;
}

float* GradientSpace::gradient(const float* first) {
  const Twin* twin = find(twins_, first, first + 1);
  if (twin == nullptr) twin = find(outside_, first, first + 1);
  ATTNLAB_CHECK(twin != nullptr, "the gradient of a buffer that no step has written");
  return twin->gradients.get() + (first - twin->first);
}

void GradientSpace::clear() {
  written_.clear();
  read_.clear();
  outside_.clear();
  for (const Scratch::Part& part : arena_.parts())
    if (const Twin* twin = find(twins_, part.first, part.first + part.used))
      std::fill_n(twin->gradients.get(), part.used, 0.0F);
}

}  // namespace attnlab
