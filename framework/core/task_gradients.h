// Gradients as one task of a parallel backward pass sees them: parameters have sums of the task's own, which are added
// to the common ones in the order of the tasks, so that the bits do not depend on the number of threads. Buffers are
// common: tasks write to parts of their own.
#pragma once

#include <span>
#include <vector>

#include <attnlab/gradients.h>

namespace attnlab {

class TaskGradients final : public Gradients {
 public:
  explicit TaskGradients(Gradients& common) : common_(&common) {}

  [[nodiscard]] std::span<float> of_parameter(std::span<const float> values) override;
  /// To the common ones. One thread.
  void add_to_common();

 protected:
  [[nodiscard]] float* of_buffer(const float* first) override;

 private:
  struct Sum {
    std::span<const float> values;
    std::vector<float> gradient;
  };

  Gradients* common_;
  std::vector<Sum> sums_;
};

}  // namespace attnlab
