// The parameters of a model that is trained: where their numbers and their gradients stand, found by what the steps of
// a layer are given (a matrix, a span of values, a table).
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <span>
#include <string>
#include <vector>

#include <attnlab/api.h>

#include "ops/matrix.h"

namespace attnlab {

/// One tensor, under its checkpoint name and in its checkpoint shape, f32.
struct TrainedParameter {
  std::string name;
  std::vector<std::int64_t> shape;
  std::span<float> values;
  std::span<float> gradient;
  bool is_reached = false;  // a backward pass has asked for its gradient
};

/// A matrix [out, in] in plain rows, or as its transpose, with its gradient.
struct TrainedMatrix {
  const float* values = nullptr;
  float* gradient = nullptr;
  bool is_transposed = false;
};

class ATTNLAB_API TrainedParameters {
 public:
  /// values: of the parameter, f32. What `use` is bound to the parameter: a packed matrix, the values themselves as
  /// components got them, or a table of rows.
  TrainedParameter& add(std::string name, std::vector<std::int64_t> shape, std::span<float> values);
  void bind(TrainedParameter& parameter, const Matrix& use) { matrices_[&use] = &parameter; }
  void bind(TrainedParameter& parameter, const void* use, std::size_t floats) {
    uses_[static_cast<const std::byte*>(use)] = {&parameter, floats};
  }

  [[nodiscard]] std::deque<TrainedParameter>& all() noexcept { return all_; }
  [[nodiscard]] const std::deque<TrainedParameter>& all() const noexcept { return all_; }
  void clear_gradients();

  /// Error where the matrix is neither a parameter nor made of one.
  [[nodiscard]] TrainedMatrix matrix(const Matrix& use);
  /// The gradient of these values, or of a part of a parameter's; empty where they are none.
  [[nodiscard]] std::span<float> values(std::span<const float> use);
  [[nodiscard]] std::span<float> table(const void* use, std::size_t floats);

 private:
  struct Use {
    TrainedParameter* parameter;
    std::size_t floats;
  };

  std::deque<TrainedParameter> all_;
  std::deque<std::vector<float>> gradients_;
  std::map<const Matrix*, TrainedParameter*> matrices_;
  std::map<const std::byte*, Use> uses_;  // by where they begin
};

}  // namespace attnlab
