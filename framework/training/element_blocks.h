// Work on all elements of many tensors, cut into blocks of fixed size: which thread takes a block changes no bit, and
// sums over blocks are added in their order.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "parallel/parallel.h"
#include "training/trained_tensor.h"

namespace attnlab::training {

// 64 KiB of floats: large against the cost of a task, and the few arrays of an update stay in a core's cache.
inline constexpr std::size_t kBlockElements = 16'384;

struct ElementBlock {
  std::size_t tensor;  // index
  std::size_t first;
  std::size_t count;

  template <class T>
  [[nodiscard]] std::span<T> of(std::span<T> values) const {
    return values.subspan(first, count);
  }
};

[[nodiscard]] inline std::size_t block_count(std::size_t elements) {
  return (elements + kBlockElements - 1) / kBlockElements;
}

/// The blocks of these tensors, in order.
[[nodiscard]] inline std::vector<ElementBlock> element_blocks(std::span<const TrainedTensor> tensors,
                                                              std::span<const std::size_t> which) {
  std::vector<ElementBlock> blocks;
  for (const std::size_t tensor : which)
    for (std::size_t first = 0; first < tensors[tensor].values.size(); first += kBlockElements)
      blocks.push_back({tensor, first, std::min(kBlockElements, tensors[tensor].values.size() - first)});
  return blocks;
}

/// body(block) on all threads.
template <class Body>
void for_each_block(std::span<const ElementBlock> blocks, const Body& body) {
  double elements = 0;
  for (const ElementBlock& block : blocks) elements += static_cast<double>(block.count);
  parallel_for(static_cast<int>(blocks.size()), Work::numbers(elements),
               [&](int index, WorkerSlot) { body(blocks[static_cast<std::size_t>(index)]); });
}

/// body(first, count, block) on all threads: the blocks of one array.
template <class Body>
void for_each_part(std::size_t elements, const Body& body) {
  const Work work = Work::numbers(static_cast<double>(elements));
  parallel_for(static_cast<int>(block_count(elements)), work, [&](int index, WorkerSlot) {
    const std::size_t first = static_cast<std::size_t>(index) * kBlockElements;
    body(first, std::min(kBlockElements, elements - first), static_cast<std::size_t>(index));
  });
}

}  // namespace attnlab::training
