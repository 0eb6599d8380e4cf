#include "steps/gradient_space.h"

#include <algorithm>
#include <new>

namespace attnlab {

bool GradientSpace::write(const float* first, const float* end) {
  if (first == end) return false;
  // The entry that begins at or before `first`, and all that it meets, become one.
  auto next = written_.upper_bound(first);
  bool overlaps = false;
  if (next != written_.begin() && std::prev(next)->second > first) --next;
  while (next != written_.end() && next->first < end) {
    overlaps = true;
    first = std::min(first, next->first);
    end = std::max(end, next->second);
    next = written_.erase(next);
  }
  written_[first] = end;
  if (find(first) != nullptr) return overlaps;
  const std::vector<Scratch::Part> parts = arena_.parts();
  const auto part = std::ranges::find_if(
      parts, [&](const Scratch::Part& of) { return first >= of.first && first < of.first + of.floats; });
  if (part != parts.end())
    twins_.push_back(make(part->first, part->floats));
  else
    outside_.push_back(make(first, static_cast<std::size_t>(end - first)));
  return overlaps;
}

bool GradientSpace::is_written(const float* first, const float* end) const {
  if (first == end) return true;
  const auto next = written_.upper_bound(first);
  return next != written_.begin() && std::prev(next)->second >= end;
}

GradientSpace::Twin GradientSpace::make(const float* first, std::size_t floats) {
  auto* memory = static_cast<float*>(std::calloc(floats, sizeof(float)));
  if (memory == nullptr) throw std::bad_alloc();
  return {first, floats, std::unique_ptr<float, Free>(memory)};
}

GradientSpace::Twin* GradientSpace::find(const float* at) {
  for (std::vector<Twin>* twins : {&twins_, &outside_})
    for (Twin& twin : *twins)
      if (at >= twin.first && at < twin.first + twin.floats) return &twin;
  return nullptr;
}

float* GradientSpace::gradient(const float* first) {
  const Twin* twin = find(first);
  ATTNLAB_CHECK(twin != nullptr, "the gradient of a buffer that no step has written");
  return twin->gradients.get() + (first - twin->first);
}

void GradientSpace::clear() {
  written_.clear();
  outside_.clear();
  for (const Scratch::Part& part : arena_.parts())
    if (const Twin* twin = find(part.first)) std::fill_n(twin->gradients.get(), part.used, 0.0F);
}

}  // namespace attnlab
