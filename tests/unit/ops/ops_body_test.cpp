// Laws of what a body is computed by: activations and LayerNorm agree with their formulas in double precision, and
// their derivatives with differences of these.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>

#include <gtest/gtest.h>

#include "ops/row_backward.h"
#include "ops/vector_kernels.h"
#include "parallel/keep_threads.h"
#include "reference/streams.h"

namespace attnlab {
namespace {

using namespace reference;

constexpr std::uint64_t kSeed = 29;
constexpr std::array kLengths{1, 2, 3, 7, 8, 9, 16, 31, 64, 70, 1000};

struct Formula {
  Activation activation;
  double (*value)(double);
};

const std::array<Formula, 5> kFormulas{
    Formula{Activation::silu, [](double x) { return x / (1 + std::exp(-x)); }},
    Formula{Activation::gelu, [](double x) { return x / 2 * std::erfc(-x / std::numbers::sqrt2); }},
    Formula{
        Activation::gelu_pytorch_tanh,
        [](double x) { return x / 2 * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x))); }},
    Formula{Activation::relu, [](double x) { return std::max(x, 0.0); }},
    Formula{Activation::relu2, [](double x) { return std::pow(std::max(x, 0.0), 2); }}};

int number_of(const Formula& formula) {
  return static_cast<int>(formula.activation);
}

TEST(Activations, AgreeWithTheirFormulasForEveryLength) {
  Stream stream(kSeed);
  for (const Formula& formula : kFormulas)
    for (const int length : kLengths) {
      const std::vector<float> before = stream.normals(length, 3);
      std::vector<float> after = before;
      vec::activate(formula.activation, after);
      for (int i = 0; i < length; ++i) {
        const double x = before[i], right = formula.value(x);
        ASSERT_NEAR(after[i], right, 8 * kRounding * (1 + std::abs(right) + std::abs(x)))
            << number_of(formula) << " of " << x << ", seed " << kSeed;
      }
    }
}

TEST(Activations, HaveTheSlopesOfTheirFormulas) {
  constexpr double kStep = 1e-4;
  Stream stream(kSeed);
  for (const Formula& formula : kFormulas) {
    const std::vector<float> before = stream.normals(1000, 3);
    std::vector<float> slopes(before.size(), 1);
    vec::activate_backward(formula.activation, before, slopes);
    for (std::size_t i = 0; i < before.size(); ++i) {
      const double x = before[i];
      if (formula.activation == Activation::relu && std::abs(x) <= kStep) continue;  // the difference sees the bend
      const double right = (formula.value(x + kStep) - formula.value(x - kStep)) / (2 * kStep);
      ASSERT_NEAR(slopes[i], right, 1e-6 * std::max(1.0, std::abs(x))) << number_of(formula) << " of " << x;
    }
  }
}

TEST(Activations, OfAGateAreMultipliedAndUndoneLikeThemselves) {
  Stream stream(kSeed);
  for (const Formula& formula : kFormulas)
    for (const int length : kLengths) {
      const std::vector<float> gate = stream.normals(length, 2), up = stream.normals(length);
      const std::vector<float> given = stream.normals(length), held = stream.normals(length);
      std::vector<float> active = gate, slopes(gate.size(), 1), product = up, of = given, of_gate = held;
      vec::activate(formula.activation, active);
      vec::activate_backward(formula.activation, gate, slopes);
      vec::activate_multiply(formula.activation, product, gate.data());
      vec::activate_multiply_backward(formula.activation, gate, up, of, of_gate);
      for (int i = 0; i < length; ++i) {
        ASSERT_EQ(product[i], active[i] * up[i]);
        ASSERT_EQ(of[i], given[i] * active[i]);
        const double right = held[i] + static_cast<double>(given[i]) * up[i] * slopes[i];
        ASSERT_NEAR(of_gate[i], right, 4 * kRounding * (std::abs(held[i]) + std::abs(right) + 1)) << number_of(formula);
      }
    }
}

TEST(Activations, FarOutAreNothingOrTheNumberAndNaNStaysNaN) {
  for (const Formula& formula : kFormulas)
    for (const float far : {20.0F, 90.0F, 1e4F, 1e15F}) {
      std::vector<float> x{-far, far, std::numeric_limits<float>::quiet_NaN()};
      x.insert(x.end(), 16, x[0]);  // whole vectors
      x.insert(x.end(), 16, x[2]);
      vec::activate(formula.activation, x);
      EXPECT_NEAR(x[0], 0, 1e-6) << number_of(formula) << " of " << -far;
      EXPECT_EQ(x[3], x[0]);
      const float right = formula.activation == Activation::relu2 ? far * far : far;
      EXPECT_NEAR(x[1], right, 2 * kRounding * right) << number_of(formula) << " of " << far;
      EXPECT_TRUE(std::isnan(x[2]) && std::isnan(x.back())) << number_of(formula);
    }
}

std::vector<double> layer_norm(const std::vector<double>& x, const std::vector<float>& weight,
                               const std::vector<float>& bias, double eps) {
  double sum = 0, squares = 0;
  for (const double number : x) sum += number;
  const double mean = sum / static_cast<double>(x.size());
  for (const double number : x) squares += (number - mean) * (number - mean);
  std::vector<double> out;
  for (std::size_t i = 0; i < x.size(); ++i)
    out.push_back((x[i] - mean) / std::sqrt(squares / static_cast<double>(x.size()) + eps) * weight[i] + bias[i]);
  return out;
}

TEST(LayerNorm, AgreesWithItsFormulaAndMayWriteOverItsInput) {
  Stream stream(kSeed);
  for (const int length : kLengths)
    for (const double offset : {0.0, 3.0}) {
      std::vector<float> x = stream.normals(length);
      for (float& number : x) number += static_cast<float>(offset);
      const std::vector<float> weight = stream.normals(length), bias = stream.normals(length);
      const std::vector<double> right = layer_norm({x.begin(), x.end()}, weight, bias, 1e-5);
      std::vector<float> out(x.size(), std::nanf(""));
      vec::layer_norm(x, weight, bias, 1e-5F, out);
      // Two numbers may be close to each other, so that what is left of an offset is rounded more coarsely.
      EXPECT_LT(normalised_error(out, right), length < 8 ? 1e-4 : 32 * kRounding) << length << ", seed " << kSeed;
      vec::layer_norm(x, weight, bias, 1e-5F, x);
      EXPECT_TRUE(same_bits(x, out)) << "in place, " << length;
    }
}

TEST(LayerNorm, IsUndoneAsDifferencesOfItsFormula) {
  constexpr double kStep = 1e-4, kEps = 1e-2;  // a row of one or two numbers is not divided by nearly nothing
  Stream stream(kSeed);
  for (const int length : {1, 2, 7, 8, 33, 70}) {
    const std::vector<float> x = stream.normals(length), given = stream.normals(length);
    const std::vector<float> weight = stream.normals(length), bias = stream.normals(length);
    const std::vector<float> held = stream.normals(length);
    std::vector<float> of_x = held, of_weight = held, of_bias = held;
    vec::layer_norm_backward(x, weight, static_cast<float>(kEps), given, of_x, of_weight, of_bias);
    const auto loss = [&](const std::vector<double>& at) {
      const std::vector<double> out = layer_norm(at, weight, bias, kEps);
      double sum = 0;
      for (int i = 0; i < length; ++i) sum += given[i] * out[i];
      return sum;
    };
    const std::vector<double> at(x.begin(), x.end());
    const std::vector<double> unit =
        layer_norm(at, std::vector<float>(x.size(), 1), std::vector<float>(x.size()), kEps);
    for (int i = 0; i < length; ++i) {
      std::vector<double> above = at, below = at;
      above[i] += kStep;
      below[i] -= kStep;
      EXPECT_NEAR(of_x[i], held[i] + (loss(above) - loss(below)) / (2 * kStep), 2e-5) << i << " of " << length;
      EXPECT_NEAR(of_weight[i], held[i] + given[i] * unit[i], 2e-6) << i << " of " << length;
      EXPECT_NEAR(of_bias[i], held[i] + given[i], 1e-6) << i << " of " << length;
    }
  }
}

TEST(LayerNorm, OfManyRowsIsUndoneWithTheSameBitsForEveryNumberOfThreads) {
  const KeepThreads keep;
  constexpr std::int64_t kRows = 200, kWidth = 20;
  Stream stream(kSeed);
  const std::vector<float> x = stream.normals(kRows * kWidth), given = stream.normals(kRows * kWidth);
  const std::vector<float> weight = stream.normals(kWidth);
  const auto undone = [&](int threads) {
    set_threads(threads);
    std::vector<float> of_x(x.size()), sums(2 * kWidth);
    layer_norm_rows_backward(matrix_view(x, kWidth), weight, 1e-5F, matrix_view(given, kWidth),
                             matrix_view(of_x, kWidth), std::span(sums).first(kWidth), std::span(sums).last(kWidth));
    of_x.insert(of_x.end(), sums.begin(), sums.end());
    return of_x;
  };
  const std::vector<float> alone = undone(1);
  for (std::int64_t i = 0; i < kWidth; ++i) {
    double sum = 0;
    for (std::int64_t row = 0; row < kRows; ++row) sum += given[row * kWidth + i];
    EXPECT_NEAR(alone[x.size() + kWidth + i], sum, 1e-4) << "the bias gets what every row gives";
  }
  for (const int threads : {2, 3, 5}) EXPECT_TRUE(same_bits(undone(threads), alone)) << threads << " threads";
}

}  // namespace
}  // namespace attnlab
