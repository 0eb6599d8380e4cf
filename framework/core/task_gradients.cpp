#include "core/task_gradients.h"

#include <algorithm>

#include <attnlab/tensor_view.h>

namespace attnlab {

std::span<float> TaskGradients::of_parameter(std::span<const float> values) {
  const auto found = std::ranges::find_if(
      sums_, [&](const Sum& sum) { return sum.values.data() == values.data() && sum.values.size() == values.size(); });
  if (found != sums_.end()) return found->gradient;
  sums_.push_back({values, std::vector<float>(values.size())});
  return sums_.back().gradient;
}

void TaskGradients::add_to_common() {
  for (const Sum& sum : sums_) {
    const std::span<float> to = common_->of_parameter(sum.values);
    for (std::size_t i = 0; i < to.size(); ++i) to[i] += sum.gradient[i];
  }
  sums_.clear();
}

float* TaskGradients::of_buffer(const float* first) {
  return common_->of(TensorView<const float, 1>(first, {1})).data();
}

}  // namespace attnlab
