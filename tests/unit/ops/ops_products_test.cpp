// Laws of the products: both paths (streaming up to 8 tokens, blocks beyond) agree with the two loops in double, with
// each other, and with themselves for every number of threads.
#include "ops/products.h"

#include <cmath>
#include <deque>

#include <gtest/gtest.h>

#include "reference/product_reference.h"

namespace attnlab {
namespace {

using namespace reference;

constexpr std::uint64_t kSeed = 77;
constexpr int kTokens[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 100, 128, 129, 300};
constexpr std::int64_t kOutputs[] = {1, 17, 128, 129, 300};

class EveryWeightType : public testing::TestWithParam<ElementType> {};

INSTANTIATE_TEST_SUITE_P(Weights, EveryWeightType, testing::ValuesIn(kElementTypes),
                         [](const auto& info) { return testing::PrintToString(info.param); });

std::vector<float> run_project(const std::vector<float>& input, const Matrix& weight, std::span<const float> bias) {
  const auto tokens = static_cast<std::int64_t>(input.size()) / weight.in_dim();
  std::vector<float> out(tokens * weight.out_dim(), std::nanf(""));
  project(matrix_view(input, weight.in_dim()), {weight, matrix_view(out, weight.out_dim()), bias});
  return out;
}

std::vector<float> run_gated(const std::vector<float>& input, const Matrix& gate, const Matrix& up,
                             std::span<const float> gate_bias, std::span<const float> up_bias) {
  const auto tokens = static_cast<std::int64_t>(input.size()) / gate.in_dim();
  std::vector<float> out(tokens * gate.out_dim(), std::nanf(""));
  gated_project(matrix_view(input, gate.in_dim()), gate, up, gate_bias, up_bias, Activation::silu,
                matrix_view(out, gate.out_dim()));
  return out;
}

TEST_P(EveryWeightType, ProjectsAsTheLoopsDoWithAndWithoutBias) {
  Stream stream(kSeed);
  for (const std::int64_t out_dim : kOutputs) {
    const std::int64_t in_dim = out_dim == 129 ? 7 : 100;
    const Weights weights(out_dim, in_dim, GetParam(), stream);
    const Matrix matrix = weights.packed();
    const std::vector<float> bias = stream.normals(out_dim, 10);
    for (const int tokens : kTokens) {
      SCOPED_TRACE(testing::Message() << tokens << " tokens, " << out_dim << " outputs, seed " << kSeed);
      const std::vector<float> input = stream.normals(tokens * in_dim);
      EXPECT_LT(relative_error(run_project(input, matrix, {}), product(input, weights, {})), kSumTolerance);
      EXPECT_LT(relative_error(run_project(input, matrix, bias), product(input, weights, bias)), kSumTolerance);
    }
  }
}

TEST_P(EveryWeightType, GatesAsTheLoopsDoWithAndWithoutBias) {
  Stream stream(kSeed);
  for (const std::int64_t out_dim : kOutputs) {
    const std::int64_t in_dim = 60;
    const Weights gate(out_dim, in_dim, GetParam(), stream);
    const Weights up(out_dim, in_dim, GetParam(), stream);
    const Matrix gate_matrix = gate.packed();
    const Matrix up_matrix = up.packed();
    const std::vector<float> gate_bias = stream.normals(out_dim, 3);
    const std::vector<float> up_bias = stream.normals(out_dim, 3);
    for (const int tokens : kTokens) {
      const std::vector<float> input = stream.normals(tokens * in_dim);
      for (const bool biased : {false, true}) {
        SCOPED_TRACE(testing::Message() << tokens << " tokens, " << out_dim << " outputs, biased " << biased);
        const std::span<const float> bias_of_gate =
            biased ? std::span<const float>(gate_bias) : std::span<const float>();
        const std::span<const float> bias_of_up = biased ? std::span<const float>(up_bias) : std::span<const float>();
        const Sums right = gated(product(input, gate, bias_of_gate), product(input, up, bias_of_up));
        EXPECT_LT(relative_error(run_gated(input, gate_matrix, up_matrix, bias_of_gate, bias_of_up), right),
                  kSumTolerance)
            << "seed " << kSeed;
      }
    }
  }
}

TEST_P(EveryWeightType, StreamsWhatItWouldMultiplyInBlocksToTheSameResult) {
  Stream stream(kSeed);
  for (const std::int64_t in_dim : {1, 64, 1000}) {
    const Weights weights(300, in_dim, GetParam(), stream);
    const Matrix matrix = weights.packed();
    const std::vector<float> input = stream.normals(160 * in_dim);
    const Sums right = product(input, weights, {});
    EXPECT_LT(relative_error(run_project(input, matrix, {}), right), kSumTolerance) << "blocks, seed " << kSeed;
    std::vector<float> streamed;
    for (int token = 0; token < 160; token += 8) {
      const std::vector<float> few(input.begin() + token * in_dim, input.begin() + (token + 8) * in_dim);
      const std::vector<float> out = run_project(few, matrix, {});
      streamed.insert(streamed.end(), out.begin(), out.end());
    }
    EXPECT_LT(relative_error(streamed, right), kSumTolerance) << "streams, seed " << kSeed;
  }
}

TEST_P(EveryWeightType, GivesATokenTheSameBitsInEveryStreamOfFew) {
  Stream stream(kSeed);
  const Weights weights(300, 123, GetParam(), stream);
  const Matrix matrix = weights.packed();
  const std::vector<float> input = stream.normals(8 * 123);
  const std::vector<float> eight = run_project(input, matrix, {});
  for (int tokens = 1; tokens < 8; ++tokens) {
    const std::vector<float> fewer = run_project({input.begin(), input.begin() + tokens * 123}, matrix, {});
    EXPECT_TRUE(same_bits(fewer, std::span(eight).first(fewer.size()))) << tokens << " tokens, seed " << kSeed;
  }
}

TEST_P(EveryWeightType, GivesTheSameBitsForEveryNumberOfThreads) {
  const KeepThreads keep;
  Stream stream(kSeed);
  const Weights weights(900, 100, GetParam(), stream);
  const Matrix matrix = weights.packed();
  const std::vector<float> bias = stream.normals(900);
  for (const int tokens : {1, 5, 8, 9, 128, 300}) {
    const std::vector<float> input = stream.normals(tokens * 100);
    set_threads(1);
    const std::vector<float> alone = run_project(input, matrix, bias);
    const std::vector<float> gated_alone = run_gated(input, matrix, matrix, bias, {});
    for (const int count : {2, 3, 5}) {
      set_threads(count);
      EXPECT_TRUE(same_bits(run_project(input, matrix, bias), alone)) << count << " threads, " << tokens << " tokens";
      EXPECT_TRUE(same_bits(run_gated(input, matrix, matrix, bias, {}), gated_alone))
          << count << " threads, " << tokens << " tokens";
    }
  }
}

TEST(Project, GivesSeveralProductsOfOneInputAsEachAlone) {
  Stream stream(kSeed);
  for (const int tokens : {1, 8, 9, 200}) {
    const std::vector<float> input = stream.normals(tokens * 50);
    std::deque<Matrix> matrices;
    std::deque<std::vector<float>> outs;
    std::vector<Projection> projections;
    const std::vector<float> bias = stream.normals(300);
    for (const std::int64_t out_dim : {129, 1, 300, 128}) {
      const ElementType type = kElementTypes[out_dim % 3];
      matrices.push_back(Weights(out_dim, 50, type, stream).packed());
      outs.emplace_back(tokens * out_dim);
      const std::span<const float> of_product =
          out_dim == 300 ? std::span<const float>(bias) : std::span<const float>();
      projections.push_back({matrices.back(), matrix_view(outs.back(), out_dim), of_product});
    }
    project(matrix_view(input, 50), projections);
    for (std::size_t i = 0; i < outs.size(); ++i)
      EXPECT_TRUE(same_bits(outs[i], run_project(input, matrices[i], projections[i].bias)))
          << "product " << i << ", " << tokens << " tokens, seed " << kSeed;
  }
}

TEST(Project, ReadsAndWritesRowsThatLieApartAndNothingBetween) {
  Stream stream(kSeed);
  constexpr std::int64_t kInStride = 61;
  constexpr std::int64_t kOutStride = 140;
  for (const int tokens : {1, 3, 8, 9, 130}) {
    const Weights weights(131, 50, ElementType::f32, stream);
    const Matrix matrix = weights.packed();
    const std::vector<float> wide = stream.normals(tokens * kInStride);
    std::vector<float> dense;
    for (int token = 0; token < tokens; ++token)
      dense.insert(dense.end(), wide.begin() + token * kInStride, wide.begin() + token * kInStride + 50);
    std::vector<float> out(tokens * kOutStride, 7);
    project({wide.data(), {tokens, 50}, {kInStride, 1}}, {matrix, {out.data(), {tokens, 131}, {kOutStride, 1}}});
    std::vector<float> both(tokens * kOutStride, 7);
    gated_project({wide.data(), {tokens, 50}, {kInStride, 1}}, matrix, matrix, {}, {}, Activation::silu,
                  {both.data(), {tokens, 131}, {kOutStride, 1}});
    const auto expect_rows = [&](const std::vector<float>& wide_rows, const Sums& right) {
      std::vector<float> written;
      for (int token = 0; token < tokens; ++token) {
        const auto row = wide_rows.begin() + token * kOutStride;
        written.insert(written.end(), row, row + 131);
        EXPECT_EQ(std::count(row + 131, row + kOutStride, 7), kOutStride - 131) << "token " << token;
      }
      EXPECT_LT(relative_error(written, right), kSumTolerance) << tokens << " tokens, seed " << kSeed;
    };
    const Sums right = product(dense, weights, {});
    expect_rows(out, right);
    expect_rows(both, gated(right, right));
  }
}

TEST(Project, DoesNothingForNoTokens) {
  const Matrix matrix(20, 10, ElementType::f32);
  EXPECT_TRUE(run_project({}, matrix, {}).empty());
  EXPECT_TRUE(run_gated({}, matrix, matrix, {}, {}).empty());
}

}  // namespace
}  // namespace attnlab
