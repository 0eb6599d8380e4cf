// Laws of packed weights: nothing is lost, whatever the sizes, the element type and the pieces that they were packed
// in; and panels look as the product kernels expect them.
#include <cstring>
#include <limits>

#include <gtest/gtest.h>

#include "reference/product_reference.h"

namespace attnlab {
namespace {

using namespace reference;

constexpr std::uint64_t kSeed = 12;
constexpr std::int64_t kOutputs[] = {1, 15, 16, 17, 127, 128, 129, 255, 256, 300};
constexpr std::int64_t kInputs[] = {1, 7, 16, 33, 200};

class EveryElementType : public testing::TestWithParam<ElementType> {};

INSTANTIATE_TEST_SUITE_P(Weights, EveryElementType, testing::ValuesIn(kElementTypes),
                         [](const auto& info) { return testing::PrintToString(info.param); });

void expect_holds(const Matrix& matrix, const Weights& weights, const char* how) {
  std::vector<float> row(weights.in_dim);
  for (std::int64_t output = 0; output < weights.out_dim; ++output) {
    matrix.copy_output(output, row);
    for (std::int64_t i = 0; i < weights.in_dim; ++i)
      ASSERT_EQ(row[i], weights.value(output, i)) << how << ": output " << output << ", input " << i << " of "
                                                  << weights.out_dim << " x " << weights.in_dim << ", seed " << kSeed;
  }
}

TEST_P(EveryElementType, GivesBackWhatWasPacked) {
  Stream stream(kSeed);
  for (const std::int64_t out_dim : kOutputs)
    for (const std::int64_t in_dim : kInputs) {
      const Weights weights(out_dim, in_dim, GetParam(), stream);
      expect_holds(weights.packed(), weights, "packed at once");
    }
}

TEST_P(EveryElementType, DoesNotCareAboutThePiecesItIsPackedIn) {
  Stream stream(kSeed);
  for (const std::int64_t out_dim : kOutputs) {
    const Weights weights(out_dim, 33, GetParam(), stream);
    for (const std::int64_t piece : {1, 5, 16, 17, 100, 128}) {
      Matrix matrix(out_dim, 33, GetParam());
      std::vector<int> pieces((out_dim + piece - 1) / piece);
      for (std::size_t i = 0; i < pieces.size(); ++i) pieces[i] = static_cast<int>(i);
      stream.shuffle(pieces);
      for (const int index : pieces) weights.pack_into(matrix, index * piece, std::min(piece, out_dim - index * piece));
      expect_holds(matrix, weights, "in pieces");
    }
  }
}

TEST_P(EveryElementType, IsZeroUntilItIsPacked) {
  const Matrix matrix(129, 10, GetParam());
  std::vector<float> row(10, 1);
  for (std::int64_t output = 0; output < 129; ++output) {
    matrix.copy_output(output, row);
    EXPECT_EQ(row, std::vector<float>(10, 0));
  }
}

TEST_P(EveryElementType, PutsTheOutputsOfAPanelSideBySideAndPadsWithZeros) {
  Stream stream(kSeed);
  for (const std::int64_t out_dim : kOutputs) {
    const Weights weights(out_dim, 7, GetParam(), stream);
    const Matrix matrix = weights.packed();
    ASSERT_EQ(matrix.panels(), (out_dim + 127) / 128);
    std::int64_t elements = 0;
    for (int panel = 0; panel < matrix.panels(); ++panel) {
      const int outputs = matrix.panel_outputs(panel);
      const int stride = matrix.panel_stride(panel);
      EXPECT_EQ(outputs, std::min<std::int64_t>(128, out_dim - 128 * panel));
      EXPECT_EQ(stride % 16, 0);
      EXPECT_TRUE(stride >= outputs && stride < outputs + 16);
      elements += stride * 7;
      for (int input = 0; input < 7; ++input)
        for (int output = 0; output < stride; ++output) {
          const std::byte* at = matrix.panel(panel) + (input * stride + output) * element_bytes(GetParam());
          double value;
          if (GetParam() == ElementType::f32) {
            float element;
            std::memcpy(&element, at, sizeof element);
            value = element;
          } else {
            std::uint16_t element;
            std::memcpy(&element, at, sizeof element);
            value = half_value(element, GetParam());
          }
          ASSERT_EQ(value, output < outputs ? weights.value(panel * 128 + output, input) : 0)
              << "panel " << panel << ", input " << input << ", output " << output << " of " << out_dim;
        }
    }
    EXPECT_EQ(matrix.bytes(), elements * element_bytes(GetParam()));
  }
}

TEST(Matrix, WidensEvery16BitElementExactly) {
  for (const ElementType type : {ElementType::bf16, ElementType::f16}) {
    std::vector<std::uint16_t> all(1 << 16);
    for (std::size_t bits = 0; bits < all.size(); ++bits) all[bits] = static_cast<std::uint16_t>(bits);
    Matrix matrix(64, 1024, type);
    matrix.pack(0, all);
    std::vector<float> row(1024);
    for (std::int64_t output = 0; output < 64; ++output) {
      matrix.copy_output(output, row);
      for (std::size_t i = 0; i < row.size(); ++i) {
        const double right = half_value(all[output * 1024 + i], type);
        if (std::isnan(right))
          EXPECT_TRUE(std::isnan(row[i]));
        else
          ASSERT_EQ(row[i], right) << type << " bits " << output * 1024 + i;
      }
    }
  }
}

TEST(Matrix, TakesHalfTheMemoryWithHalfTheBits) {
  EXPECT_EQ(Matrix(300, 200, ElementType::f32).bytes(), 2 * Matrix(300, 200, ElementType::bf16).bytes());
  EXPECT_EQ(Matrix(300, 200, ElementType::f16).bytes(), Matrix(300, 200, ElementType::bf16).bytes());
}

}  // namespace
}  // namespace attnlab
