#include "training/updates.h"

#include <cmath>
#include <cstddef>

namespace attnlab::training {
namespace {

// As many sums side by side as are vectorised; what is left comes last. The order is fixed, whatever the machine.
constexpr std::size_t kSums = 16;

class SquareSum {
 public:
  void add_group(const float* values) {
    for (std::size_t i = 0; i < kSums; ++i) sums_[i] += static_cast<double>(values[i]) * values[i];
  }
  void add_rest(float value) { rest_ += static_cast<double>(value) * value; }
  [[nodiscard]] double total() const {
    double total = rest_;
    for (const double sum : sums_) total += sum;
    return total;
  }

 private:
  double sums_[kSums] = {};
  double rest_ = 0;
};

}  // namespace

void adamw_update(const AdamwFactors& factors, std::span<float> values, std::span<const float> gradient,
                  std::span<float> first, std::span<float> second) {
  const AdamwFactors f = factors;
  const std::size_t count = values.size();
  float* const __restrict p = values.data();
  const float* const __restrict g = gradient.data();
  float* const __restrict m = first.data();
  float* const __restrict v = second.data();
  for (std::size_t i = 0; i < count; ++i) {
    m[i] = f.beta1 * m[i] + f.new1 * g[i];
    v[i] = f.beta2 * v[i] + f.new2 * (g[i] * g[i]);
    p[i] = f.keep * p[i] - f.rate * m[i] / (std::sqrt(v[i]) * f.root + f.eps);
  }
}

void sgd_update(float momentum, float rate, std::span<float> values, std::span<const float> gradient,
                std::span<float> moment) {
  const std::size_t count = values.size();
  float* const __restrict p = values.data();
  const float* const __restrict g = gradient.data();
  float* const __restrict m = moment.data();
  for (std::size_t i = 0; i < count; ++i) {
    m[i] = momentum * m[i] + g[i];
    p[i] -= rate * m[i];
  }
}

double nesterov_update(float momentum, std::span<const float> gradient, std::span<float> moment, std::span<float> out) {
  const float fresh = 1 - momentum;
  const std::size_t count = out.size();
  const float* const __restrict g = gradient.data();
  float* const __restrict m = moment.data();
  float* const __restrict u = out.data();
  for (std::size_t i = 0; i < count; ++i) {
    m[i] = momentum * m[i] + fresh * g[i];
    u[i] = fresh * g[i] + momentum * m[i];
  }
  return sum_of_squares(out);
}

void scaled(float factor, std::span<const float> from, std::span<float> to) {
  for (std::size_t i = 0; i < to.size(); ++i) to[i] = factor * from[i];
}

void decay_and_subtract(float keep, float rate, std::span<const float> from, std::span<float> to) {
  for (std::size_t i = 0; i < to.size(); ++i) to[i] = keep * to[i] - rate * from[i];
}

double sum_of_squares(std::span<const float> values) {
  SquareSum sum;
  std::size_t i = 0;
  for (; i + kSums <= values.size(); i += kSums) sum.add_group(values.data() + i);
  for (; i < values.size(); ++i) sum.add_rest(values[i]);
  return sum.total();
}

}  // namespace attnlab::training
