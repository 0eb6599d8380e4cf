// Laws of the loops over one row: they agree with double precision for every length, whole vectors or not, and at the
// ends of the range of their arguments.
#include "ops/vector_kernels.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "reference/product_reference.h"

namespace attnlab {
namespace {

using namespace reference;

constexpr std::uint64_t kSeed = 5;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Below, around and above whole vectors of 4, 8 and 16 lanes, and more than the 4096 of one partial sum.
std::vector<int> lengths() {
  std::vector<int> all;
  for (int length = 1; length <= 70; ++length) all.push_back(length);
  for (const int length : {127, 128, 1000, 4096, 4097, 9999}) all.push_back(length);
  return all;
}

double silu(double x) {
  return x / (1 + std::exp(-x));
}

std::vector<double> rms_norm(const std::vector<float>& x, const std::vector<float>& weight, double eps) {
  double squares = 0;
  for (const double value : x) squares += value * value;
  std::vector<double> out;
  for (std::size_t i = 0; i < x.size(); ++i)
    out.push_back(x[i] / std::sqrt(squares / static_cast<double>(x.size()) + eps) * weight[i]);
  return out;
}

double log_sum_exp(const std::vector<float>& x) {
  double largest = -std::numeric_limits<double>::infinity();
  for (const double value : x) largest = std::max(largest, value);
  double sum = 0;
  for (const double value : x) sum += std::exp(value - largest);
  return largest + std::log(sum);
}

// A sum in single precision of at most 4096 numbers of one sign, after an exponential.
double log_sum_exp_tolerance(std::size_t length) {
  return kRounding * (8 + std::sqrt(static_cast<double>(std::min<std::size_t>(length, 4096))));
}

TEST(VectorAdd, AddsEveryElementOnceAndRoundsOnce) {
  Stream stream(kSeed);
  for (const int length : lengths()) {
    std::vector<float> to = stream.normals(length + 1);
    const std::vector<float> before = to;
    const std::vector<float> from = stream.normals(length);
    vec::add(std::span(to).first(length), from);
    for (int i = 0; i < length; ++i) ASSERT_EQ(to[i], before[i] + from[i]) << length << ", seed " << kSeed;
    EXPECT_EQ(to[length], before[length]) << "the element after the row";
  }
}

TEST(SiluMultiply, AgreesWithItsFormulaForEveryLengthAndGate) {
  Stream stream(kSeed);
  for (const int length : lengths()) {
    const std::vector<float> gate = stream.normals(length, 5);
    std::vector<float> x = stream.normals(length);
    Sums right;
    for (int i = 0; i < length; ++i) {
      right.values.push_back(silu(gate[i]) * x[i]);
      right.sizes.push_back(std::abs(right.values.back()) + std::numeric_limits<float>::min());
    }
    vec::activate_multiply(Activation::silu, x, gate.data());
    EXPECT_LT(relative_error(x, right), kSumTolerance) << length << ", seed " << kSeed;
  }
}

TEST(SiluMultiply, IsZeroFarBelowAndTheGateFarAbove) {
  for (const float far : {80.0F, 87.0F, 89.0F, 100.0F, 1e4F}) {
    const std::vector<float> gate{-far, far, -far, far, -far, far, -far, far, -far, far, -far};
    std::vector<float> x(gate.size(), 1);
    vec::activate_multiply(Activation::silu, x, gate.data());
    for (std::size_t i = 0; i < x.size(); ++i)
      EXPECT_NEAR(x[i], std::max(gate[i], 0.0F), 1e-7 * std::max(gate[i], 1e-20F)) << far << " at " << i;
  }
}

TEST(RmsNorm, AgreesWithItsFormulaAndMayWriteOverItsInput) {
  Stream stream(kSeed);
  for (const int length : lengths())
    for (const double size : {1.0, 1e-4, 1e4}) {
      std::vector<float> x = stream.normals(length, size);
      const std::vector<float> weight = stream.normals(length);
      const std::vector<double> right = rms_norm(x, weight, 1e-6);
      std::vector<float> out(length, std::nanf(""));
      vec::rms_norm(x, weight, 1e-6F, out);
      EXPECT_LT(normalised_error(out, right), kSumTolerance) << length << ", size " << size << ", seed " << kSeed;
      vec::rms_norm(x, weight, 1e-6F, x);
      EXPECT_TRUE(same_bits(x, out)) << "in place, " << length;
    }
}

TEST(RmsNorm, OfZerosIsZero) {
  std::vector<float> x(19, 0);
  vec::rms_norm(x, std::vector<float>(19, 3), 1e-6F, x);
  EXPECT_EQ(x, std::vector<float>(19, 0));
}

TEST(Softcap, AgreesWithTanhToARoundingOfTheCap) {
  Stream stream(kSeed);
  for (const int length : lengths())
    for (const float cap : {0.5F, 5.0F, 30.0F, 50.0F}) {
      std::vector<float> x = stream.normals(length, 2 * cap);
      Sums right;
      for (const double value : x) {
        right.values.push_back(cap * std::tanh(value / cap));
        right.sizes.push_back(cap);
      }
      vec::softcap(x, cap);
      EXPECT_LT(relative_error(x, right), 6 * kRounding) << length << ", cap " << cap << ", seed " << kSeed;
    }
}

TEST(Softcap, IsTheCapFarAboveItAndKeepsZeroAndSigns) {
  std::vector<float> x{0, 1e4F, -1e4F, 1e30F, -1e30F, kInfinity, -kInfinity, 600, -600, 0, 1e-6F};
  vec::softcap(x, 30);
  EXPECT_EQ(x[0], 0);
  EXPECT_EQ(x[9], 0);
  for (const std::size_t i : {1, 3, 5, 7}) {
    EXPECT_NEAR(x[i], 30, 30 * kRounding);
    EXPECT_EQ(x[i + 1], -x[i]) << i;
  }
  EXPECT_NEAR(x[10], 1e-6, 6 * 30 * kRounding);
}

TEST(LogSumExp, AgreesWithItsFormulaForEveryLength) {
  Stream stream(kSeed);
  for (const int length : lengths())
    for (const double spread : {0.1, 3.0, 40.0}) {
      const std::vector<float> x = stream.normals(length, spread);
      EXPECT_NEAR(vec::log_sum_exp(x), log_sum_exp(x), log_sum_exp_tolerance(x.size()))
          << length << ", spread " << spread << ", seed " << kSeed;
    }
}

TEST(Softmax, IsMadeOfTheSumAndTheScaledPowers) {
  Stream stream(kSeed);
  for (const int length : lengths()) {
    std::vector<float> x = stream.normals(length + 1, 3);
    const std::vector<float> before = x;
    const std::vector<float> row(before.begin(), before.begin() + length);
    const vec::ExpSum found = vec::exp_sum(row);
    EXPECT_EQ(found.largest, *std::ranges::max_element(row));
    EXPECT_TRUE(found.is_single);
    vec::scaled_exp(std::span(x).first(length), found.largest, static_cast<float>(0.5 / found.sum));
    const double whole = log_sum_exp(row);
    for (int i = 0; i < length; ++i) {
      const double right = 0.5 * std::exp(before[i] - whole);
      // The difference is rounded before the power is taken.
      const double rounding = kRounding * (8 + std::abs(before[i] - found.largest));
      ASSERT_NEAR(x[i], right, rounding * right + 1e-37) << length << ", seed " << kSeed;
    }
    EXPECT_EQ(x[length], before[length]) << "the element after the row";
  }
}

TEST(Softmax, KnowsWhetherOneNumberAloneIsTheLargest) {
  for (const int length : {1, 2, 16, 17, 40})
    for (int at = 0; at < length; ++at) {
      std::vector<float> x(length, -1.0F);
      x[at] = 2;
      EXPECT_TRUE(vec::exp_sum(x).is_single) << length << " " << at;
      x[length - 1 - at] = 2;
      EXPECT_EQ(vec::exp_sum(x).is_single, at == length - 1 - at) << length << " " << at;
    }
}

TEST(Softmax, OfNaNHasNoSum) {
  for (const int at : {0, 5, 16, 18}) {
    std::vector<float> x(19, 1.0F);
    x[at] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_TRUE(std::isnan(vec::exp_sum(x).sum)) << at;
  }
}

TEST(LogSumExp, OfOneElementIsTheElement) {
  for (const float x : {0.0F, 1.0F, -1e30F, 1e30F, 88.8F, -104.0F})
    EXPECT_EQ(vec::log_sum_exp(std::vector<float>{x}), x);
}

TEST(LogSumExp, DoesNotOverflowOrVanish) {
  for (const int length : {1, 2, 7, 8, 16, 17, 100})
    for (const float x : {-1e30F, -1000.0F, 1000.0F, 1e30F}) {
      const std::vector<float> all(length, x);
      EXPECT_NEAR(vec::log_sum_exp(all), x + std::log(length), log_sum_exp_tolerance(length)) << length << " of " << x;
    }
}

TEST(LogSumExp, IgnoresEntriesThatAreMinusInfinityOrFarBelow) {
  Stream stream(kSeed);
  for (const int length : lengths())
    for (const float nothing : {-kInfinity, -1e30F, -500.0F}) {
      const std::vector<float> x = stream.normals(length);
      std::vector<float> more;
      for (const float value : x) {
        more.push_back(nothing);
        more.push_back(value);
        if (more.size() % 3 == 0) more.push_back(nothing);
      }
      EXPECT_NEAR(vec::log_sum_exp(more), log_sum_exp(x), log_sum_exp_tolerance(more.size()))
          << length << ", " << nothing << ", seed " << kSeed;
    }
}

TEST(LogSumExp, IsMinusInfinityWhereEveryEntryIs) {
  for (int length = 1; length <= 40; ++length)
    ASSERT_EQ(vec::log_sum_exp(std::vector<float>(length, -kInfinity)), -kInfinity) << length << " entries";
}

}  // namespace
}  // namespace attnlab
