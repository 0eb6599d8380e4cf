#include "training/clipping.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "parallel/keep_threads.h"
#include "unit/training/training_samples.h"

namespace attnlab::training {
namespace {

using training_test::same_bits;
using training_test::SampleTensors;

double slow_norm(const std::vector<std::vector<float>>& gradients) {
  long double squares = 0;
  for (const auto& gradient : gradients)
    for (const float number : gradient) squares += static_cast<long double>(number) * number;
  return std::sqrt(static_cast<double>(squares));
}

TEST(Clipping, GivesTheNormOfAllGradientsTogetherBeforeItScalesThem) {
  SampleTensors tensors;
  tensors.next_gradients();
  const auto before = tensors.gradients();
  const double norm = slow_norm(before);
  const double limit = norm / 3;
  EXPECT_NEAR(Clipping(limit, tensors.all()).clip(tensors.all()), norm, 1e-12 * norm);
  for (std::size_t i = 0; i < before.size(); ++i)
    for (std::size_t k = 0; k < before[i].size(); ++k)
      ASSERT_NEAR(tensors.gradients()[i][k], before[i][k] / 3, 1e-6 * std::abs(before[i][k]));
  EXPECT_NEAR(slow_norm(tensors.gradients()), limit, 1e-6 * limit);
}

TEST(Clipping, LeavesGradientsBelowTheLimitAndWithoutOneAsTheyAre) {
  SampleTensors tensors;
  tensors.next_gradients();
  const auto before = tensors.gradients();
  const double norm = slow_norm(before);
  for (const double limit : {norm * 1.001, 0.0}) {
    EXPECT_NEAR(Clipping(limit, tensors.all()).clip(tensors.all()), norm, 1e-12 * norm);
    EXPECT_TRUE(same_bits(tensors.gradients(), before)) << limit;
  }
}

TEST(Clipping, ScalesNothingWhereANumberIsNotFinite) {
  SampleTensors tensors;
  tensors.next_gradients();
  tensors.gradients()[2][16'500] = std::numeric_limits<float>::infinity();
  const auto before = tensors.gradients();
  EXPECT_FALSE(std::isfinite(Clipping(1, tensors.all()).clip(tensors.all())));
  EXPECT_TRUE(same_bits(tensors.gradients(), before));
}

TEST(Clipping, TakesLargeGradientsThatFloatsCouldNotSquare) {
  SampleTensors tensors(1, {{"w", {2}}});
  tensors.gradients()[0][0] = 3e30F;
  tensors.gradients()[0][1] = 4e30F;
  EXPECT_NEAR(Clipping(1, tensors.all()).clip(tensors.all()) / 5e30, 1, 1e-6);
}

TEST(Clipping, HasTheSameBitsForEveryNumberOfThreads) {
  const KeepThreads keep;
  std::vector<double> norms;
  std::vector<std::vector<std::vector<float>>> gradients;
  for (const int count : {1, 2, 5}) {
    set_threads(count);
    SampleTensors tensors;
    tensors.next_gradients();
    norms.push_back(Clipping(0.5, tensors.all()).clip(tensors.all()));
    gradients.push_back(tensors.gradients());
  }
  EXPECT_EQ(norms[0], norms[1]);
  EXPECT_EQ(norms[0], norms[2]);
  EXPECT_TRUE(same_bits(gradients[0], gradients[1]));
  EXPECT_TRUE(same_bits(gradients[0], gradients[2]));
}

}  // namespace
}  // namespace attnlab::training
