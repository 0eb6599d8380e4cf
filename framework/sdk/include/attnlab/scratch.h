// Working memory of one forward call: a bump allocator that grows in the first calls and never again.
// It belongs to the code that runs the model; no buffer outlives its `Scope`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <attnlab/api.h>
#include <attnlab/tensor_view.h>

namespace attnlab {

class ATTNLAB_API Scratch {
 public:
  Scratch();
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  /// `count` floats on a 64-byte boundary, not initialised; valid until the scope around it ends.
  [[nodiscard]] std::span<float> floats(std::int64_t count);
  [[nodiscard]] TensorView<float, 2> rows(std::int64_t rows, std::int64_t width) {
    return {floats(rows * width).data(), {rows, width}};
  }
  [[nodiscard]] TensorView<float, 3> rows(std::int64_t rows, std::int64_t heads, std::int64_t width) {
    return {floats(rows * heads * width).data(), {rows, heads, width}};
  }

  /// Gives back on destruction all that was handed out since its construction.
  class ATTNLAB_API Scope {
   public:
    explicit Scope(Scratch& scratch) noexcept;
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Scratch& scratch_;
    std::size_t block_;
    std::size_t used_;
  };

  /// The memory that there is, and how much of each part has been handed out and not given back.
  struct Part {
    float* first;
    std::size_t floats;
    std::size_t used;
  };
  [[nodiscard]] std::vector<Part> parts() const;

 private:
  struct Block;
  std::vector<Block> blocks_;
  std::size_t block_ = 0;  // the block that is being filled
  std::size_t used_ = 0;   // floats used of it
};

}  // namespace attnlab
