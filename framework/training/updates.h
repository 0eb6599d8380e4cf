// The loops over the elements of a block, as plain code that the compiler vectorises; all arrays of one call have the
// same length. Not here: where the numbers come from (adamw.cpp, sgd.cpp, muon.cpp).
#pragma once

#include <span>

namespace attnlab::training {

/// What adamw needs of a step, the same for all elements of a tensor.
struct AdamwFactors {
  float beta1, beta2;
  float new1, new2;  // 1 - beta
  float rate;        // of the step, with the correction of the first moment: lr / (1 - beta1^t)
  float root;        // the correction of the second: 1 / sqrt(1 - beta2^t)
  float eps;
  float keep;  // 1 - lr * weight decay
};

void adamw_update(const AdamwFactors& factors, std::span<float> values, std::span<const float> gradient,
                  std::span<float> first, std::span<float> second);

/// moment = momentum * moment + gradient; values -= rate * moment
void sgd_update(float momentum, float rate, std::span<float> values, std::span<const float> gradient,
                std::span<float> moment);

/// moment = momentum * moment + (1 - momentum) * gradient; out = (1 - momentum) * gradient + momentum * moment (the
/// moment of Nesterov). Returns the sum of the squares of out.
[[nodiscard]] double nesterov_update(float momentum, std::span<const float> gradient, std::span<float> moment,
                                     std::span<float> out);

/// to = factor * from
void scaled(float factor, std::span<const float> from, std::span<float> to);

/// to = keep * to - rate * from
void decay_and_subtract(float keep, float rate, std::span<const float> from, std::span<float> to);

[[nodiscard]] double sum_of_squares(std::span<const float> values);

}  // namespace attnlab::training
