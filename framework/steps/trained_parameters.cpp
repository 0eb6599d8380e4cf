#include "steps/trained_parameters.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include <attnlab/error.h>

namespace attnlab {

TrainedParameter& TrainedParameters::add(std::string name, std::vector<std::int64_t> shape, std::span<float> values) {
  gradients_.emplace_back(values.size());
  return all_.emplace_back(TrainedParameter{std::move(name), std::move(shape), values, gradients_.back()});
}

void TrainedParameters::clear_gradients() {
  for (TrainedParameter& parameter : all_) std::ranges::fill(parameter.gradient, 0.0F);
}

TrainedMatrix TrainedParameters::matrix(const Matrix& use) {
  if (const auto found = matrices_.find(&use); found != matrices_.end()) {
    found->second->is_reached = true;
    return {found->second->values.data(), found->second->gradient.data()};
  }
  const auto& [values, is_transposed] = use.origin();
  const std::span<float> gradient = this->values(values);
  if (gradient.empty())
    throw Error("", "a product with a matrix that is no parameter has no derivative",
                "make it by PackedMatrix of values that the component declares");
  return {values.data(), gradient.data(), is_transposed};
}

std::span<float> TrainedParameters::values(std::span<const float> use) {
  return table(use.data(), use.size());
}

std::span<float> TrainedParameters::table(const void* use, std::size_t floats) {
  const auto* const first = static_cast<const std::byte*>(use);
  auto found = uses_.upper_bound(first);
  if (floats == 0 || found == uses_.begin()) return {};
  --found;
  const std::size_t offset = static_cast<std::size_t>(first - found->first) / sizeof(float);
  if (offset + floats > found->second.floats) return {};
  found->second.parameter->is_reached = true;
  return found->second.parameter->gradient.subspan(offset, floats);
}

}  // namespace attnlab
