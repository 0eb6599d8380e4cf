// Weights as codes: how far they may be from what was encoded, that every reader sees the same numbers, and products
// against a slow one in double precision over the numbers that are held.
#include <bit>
#include <cmath>
#include <deque>
#include <random>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include "base/convert.h"
#include "ops/coded_panel.h"
#include "ops/matrix.h"
#include "ops/onednn_product.h"
#include "ops/products.h"
#include "ops/vector_kernels.h"
#include "reference/product_reference.h"

namespace attnlab {
namespace {

std::vector<float> random_numbers(std::int64_t count, unsigned seed, float range = 0.05F) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0, range);
  std::vector<float> numbers(static_cast<std::size_t>(count));
  for (float& number : numbers) number = normal(generator);
  return numbers;
}

class CodedWeights : public testing::TestWithParam<ElementType> {
 protected:
  static Matrix matrix(std::int64_t out, std::int64_t in, std::span<const float> weights) {
    Matrix matrix(out, in, GetParam());
    matrix.pack(0, weights);
    return matrix;
  }
  static std::vector<float> held(const Matrix& matrix) {
    std::vector<float> values(static_cast<std::size_t>(matrix.out_dim() * matrix.in_dim()));
    for (std::int64_t row = 0; row < matrix.out_dim(); ++row)
      matrix.copy_output(row, std::span(values).subspan(static_cast<std::size_t>(row * matrix.in_dim()),
                                                        static_cast<std::size_t>(matrix.in_dim())));
    return values;
  }
};

INSTANTIATE_TEST_SUITE_P(Types, CodedWeights, testing::Values(ElementType::int8, ElementType::int4),
                         [](const auto& type) { return std::string(element_name(type.param)); });

TEST_P(CodedWeights, AreWithinAStepOfWhatWasEncoded) {
  for (const auto& [out, in] : {std::pair{1L, 1L}, {130L, 100L}, {16L, 64L}, {257L, 33L}}) {
    const std::vector<float> weights = random_numbers(out * in, 3);
    const std::vector<float> found = held(matrix(out, in, weights));
    for (std::int64_t row = 0; row < out; ++row)
      for (std::int64_t first = 0; first < in; first += kCodeGroup) {
        float farthest = 0;
        for (std::int64_t i = first; i < std::min(in, first + kCodeGroup); ++i)
          farthest = std::max(farthest, std::abs(weights[row * in + i]));
        // Half a step; a whole one at the end of 4 bits that has one code less. f16 rounds the step itself, up, by a
        // share or, where it is small, by as much as 2^-24.
        const float half = GetParam() == ElementType::int8 ? farthest / 127 / 2 : farthest / 8;
        const float step = half * (1 + 0x1p-10F) + 0x1p-24F;
        for (std::int64_t i = first; i < std::min(in, first + kCodeGroup); ++i)
          ASSERT_NEAR(found[row * in + i], weights[row * in + i], step * 1.00001F) << row << " " << i;
      }
  }
}

TEST_P(CodedWeights, KeepWhatIsACode) {
  // Multiples of a step that f16 holds exactly, the farthest at the end of the range.
  const float last = GetParam() == ElementType::int8 ? 127.0F : -8.0F;
  std::vector<float> weights;
  for (int i = 0; i < 64; ++i) weights.push_back(0.125F * (i % 32 == 5 ? last : static_cast<float>(i % 13 - 6)));
  EXPECT_EQ(held(matrix(1, 64, weights)), weights);
  EXPECT_EQ(held(matrix(1, 40, std::vector<float>(40, 0.0F))), std::vector<float>(40, 0.0F));
}

TEST_P(CodedWeights, ThatNoCodeCanStandForMakeTheirGroupNaN) {
  for (const float bad : {std::nanf(""), HUGE_VALF, -HUGE_VALF, 1e9F})
    for (const std::size_t place : {32U, 40U, 63U}) {
      std::vector<float> weights = random_numbers(96, 9);
      weights[place] = bad;
      const std::vector<float> found = held(matrix(1, 96, weights));
      for (std::size_t i = 0; i < 96; ++i)
        EXPECT_EQ(std::isnan(found[i]), i / 32 == 1) << bad << " at " << place << ", " << i;
    }
}

TEST_P(CodedWeights, DoNotCareAboutThePiecesTheyArePackedIn) {
  const std::vector<float> weights = random_numbers(200 * 70, 5);
  Matrix pieces(200, 70, GetParam());
  for (const auto& [first, count] : {std::pair{0, 16}, {16, 1}, {17, 111}, {128, 72}})
    pieces.pack(first, std::span(weights).subspan(first * 70, count * 70));
  EXPECT_EQ(held(pieces), held(matrix(200, 70, weights)));
}

TEST_P(CodedWeights, MultiplyAsTheNumbersThatAreHeld) {
  for (const auto& [out, in] : {std::pair{1L, 1L}, {128L, 96L}, {300L, 75L}, {144L, 32L}}) {
    const Matrix weights = matrix(out, in, random_numbers(out * in, 7));
    const std::vector<float> numbers = held(weights);
    for (const std::int64_t tokens : {1, 2, 3, 5, 8, 9, 300}) {
      const std::vector<float> input = random_numbers(tokens * in, 11, 1);
      std::vector<float> output(static_cast<std::size_t>(tokens * out), -1);
      project({input.data(), {tokens, in}}, {weights, {output.data(), {tokens, out}}});
      for (std::int64_t token = 0; token < tokens; ++token)
        for (std::int64_t row = 0; row < out; ++row) {
          double sum = 0, size = 0;
          for (std::int64_t i = 0; i < in; ++i) {
            const double term = double{input[token * in + i]} * numbers[row * in + i];
            sum += term;
            size += std::abs(term);
          }
          ASSERT_NEAR(output[token * out + row], sum, 1e-5 * size + 1e-9) << tokens << " " << token << " " << row;
        }
    }
  }
}

TEST_P(CodedWeights, TakeABitLessThanAQuarterOrAnEighth) {
  const double share = static_cast<double>(Matrix(256, 640, GetParam()).bytes()) /
                       static_cast<double>(Matrix(256, 640, ElementType::f32).bytes());
  EXPECT_DOUBLE_EQ(share, GetParam() == ElementType::int8 ? 34.0 / 128 : 18.0 / 128);
}

TEST(HalfPrecision, RoundsToTheNearestAndBack) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float value = from_f16(half);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(from_f16(to_f16(value))));
      continue;
    }
    ASSERT_EQ(to_f16(value), half) << value;
    const float next = from_f16(static_cast<std::uint16_t>(half + 1));
    if ((half & 0x7fffU) >= 0x7bffU || std::isnan(next)) continue;
    const float middle = (value + next) / 2;  // exact in f32; ties go to the even one
    ASSERT_EQ(to_f16(middle), half % 2 == 0 ? half : half + 1) << middle;
    ASSERT_EQ(to_f16(std::nextafter(middle, value)), half) << middle;
    ASSERT_EQ(to_f16(std::nextafter(middle, next)), half + 1) << middle;
  }
  EXPECT_EQ(to_f16(65519.0F), 0x7bff);
  EXPECT_EQ(to_f16(65520.0F), 0x7c00);
  EXPECT_EQ(to_f16(-1e30F), 0xfc00);
}

TEST(Bf16, RowsAreRoundedAsSingleNumbersAre) {
  std::vector<float> numbers;
  for (std::uint32_t high = 0; high < 0x10000; ++high)
    for (const std::uint32_t low : {0x0U, 0x1U, 0x7fffU, 0x8000U, 0x8001U, 0xffffU})
      numbers.push_back(std::bit_cast<float>(high << 16 | low));
  std::vector<std::uint16_t> rounded(numbers.size());
  vec::narrow_to_bf16(numbers, rounded.data());
  for (std::size_t i = 0; i < numbers.size(); ++i) ASSERT_EQ(rounded[i], to_bf16(numbers[i])) << numbers[i];
  for (std::size_t length = 1; length < 40; ++length) {  // what is no whole vector
    std::vector<std::uint16_t> few(length + 1, 0x1234);
    vec::narrow_to_bf16(std::span(numbers).subspan(90000, length), few.data());
    for (std::size_t i = 0; i < length; ++i) ASSERT_EQ(few[i], to_bf16(numbers[90000 + i])) << length << " " << i;
    EXPECT_EQ(few[length], 0x1234);
  }
}

TEST(Bf16, ProductsOfManyTokensMultiplyRoundedNumbers) {
  if (!has_bf16_products()) GTEST_SKIP() << "no AVX512-BF16 and no AMX";
  constexpr std::int64_t out = 200, in = 90;
  const auto round = [](float number) { return double{from_bf16(to_bf16(number))}; };
  for (const ElementType type : {ElementType::f32, ElementType::bf16, ElementType::f16, ElementType::int8}) {
    Matrix weights(out, in, type);
    weights.pack(0, random_numbers(out * in, 5));
    weights.set_arithmetic(Arithmetic::bf16);
    std::vector<float> row(in);
    for (const std::int64_t tokens : {3, 300}) {  // few are bound by memory, and multiply f32
      const std::vector<float> input = random_numbers(tokens * in, 6, 1);
      std::vector<float> output(static_cast<std::size_t>(tokens * out));
      project({input.data(), {tokens, in}}, {weights, {output.data(), {tokens, out}}});
      for (std::int64_t column = 0; column < out; ++column) {
        weights.copy_output(column, row);
        for (std::int64_t token = 0; token < tokens; ++token) {
          double sum = 0, size = 0;
          for (std::int64_t i = 0; i < in; ++i) {
            const float x = input[token * in + i];
            const double term = tokens < 9 ? double{x} * row[i] : round(x) * round(row[i]);
            sum += term;
            size += std::abs(term);
          }
          ASSERT_NEAR(output[token * out + column], sum, 2e-6 * size + 1e-9) << element_name(type) << " " << tokens;
        }
      }
    }
  }
}

// What is rounded once for all tasks of a call is what each would round.
TEST(Bf16, SeveralProductsOfACallAreThoseOfCallsOfTheirOwn) {
  if (!has_bf16_products()) GTEST_SKIP() << "no AVX512-BF16 and no AMX";
  constexpr std::int64_t in = 90, tokens = 600;
  const std::vector<float> input = random_numbers(tokens * in, 7, 1);
  const TensorView<const float, 2> rows(input.data(), {tokens, in});
  std::deque<Matrix> weights;
  std::deque<std::vector<float>> together, alone;
  std::vector<Projection> projections;
  const auto room = [&](std::deque<std::vector<float>>& of, std::int64_t out) {
    return TensorView<float, 2>(of.emplace_back(static_cast<std::size_t>(tokens * out)).data(), {tokens, out});
  };
  for (const auto& [type, out, arithmetic] :
       {std::tuple{ElementType::f32, 200, Arithmetic::bf16}, std::tuple{ElementType::f32, 130, Arithmetic::f32},
        std::tuple{ElementType::bf16, 300, Arithmetic::bf16}, std::tuple{ElementType::int8, 129, Arithmetic::bf16}}) {
    Matrix& matrix = weights.emplace_back(out, in, type);
    matrix.pack(0, random_numbers(out * in, 8 + static_cast<unsigned>(out)));
    matrix.set_arithmetic(arithmetic);
    projections.push_back({matrix, room(together, out)});
    project(rows, {matrix, room(alone, out)});
  }
  project(rows, projections);
  EXPECT_EQ(together, alone);
}

}  // namespace
}  // namespace attnlab
