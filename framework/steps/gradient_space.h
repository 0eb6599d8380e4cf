// Where the gradients of a forward pass stand: the arena of its buffers has a twin of the same size, and the gradient
// of a view is the same offset in the twin. Buffers outside the arena (what layers share, the result) get twins of
// their own. Keeps account of what recorded steps have written, so that a result without a derivative is noticed.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include <attnlab/api.h>
#include <attnlab/scratch.h>
#include <attnlab/tensor_view.h>

namespace attnlab {

class ATTNLAB_API GradientSpace {
 public:
  /// Outlived by the arena.
  explicit GradientSpace(const Scratch& arena) : arena_(arena) {}

  /// A step has written these floats. Returns whether an earlier one had written some of them.
  bool write(const float* first, const float* end);
  /// A step has read them, and will look at them again when it is undone.
  void read(const float* first, const float* end) { (void)join(read_, first, end); }
  [[nodiscard]] bool was_read(const float* first, const float* end) const;
  /// Whether recorded steps have written all of them.
  [[nodiscard]] bool is_written(const float* first, const float* end) const;
  /// Of the buffer at `first`, which was written; zeros before anything was added.
  [[nodiscard]] float* gradient(const float* first);
  /// Forgets what was written, and sets all gradients to zero: before the arena takes its buffers back.
  void clear();

 private:
  struct Free {
    void operator()(float* memory) const noexcept { std::free(memory); }
  };
  struct Twin {
    const float* first;
    std::size_t floats;
    std::unique_ptr<float, Free> gradients;
  };
  [[nodiscard]] static const Twin* find(const std::vector<Twin>& twins, const float* first, const float* end);
  using Ranges = std::map<const float*, const float*>;  // first -> end, apart from one another
  // Adds a range; returns whether it met others, and the range that they became.
  struct Joined {
    bool met = false;
    const float *first, *end;
  };
  static Joined join(Ranges& ranges, const float* first, const float* end);
  static Twin make(const float* first, std::size_t floats);

  const Scratch& arena_;
  std::vector<Twin> twins_;    // of the arena's parts
  std::vector<Twin> outside_;  // of other buffers, of this pass
  Ranges written_, read_;
};

/// First and end of what a view lies in.
template <class T, int Rank>
[[nodiscard]] std::span<const float> bounds_of(const TensorView<T, Rank>& view) {
  std::int64_t last = 0;
  for (int axis = 0; axis < Rank; ++axis) {
    if (view.extent(axis) == 0) return {};
    last += (view.extent(axis) - 1) * view.stride(axis);
  }
  return {view.data(), static_cast<std::size_t>(last + 1)};
}

}  // namespace attnlab
