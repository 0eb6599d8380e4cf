// Laws of the products of plain matrices: in every form they agree with the three loops in double, touch nothing beside
// their output, and have the same bits for every number of threads.
#include "ops/dense_product.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include <gtest/gtest.h>

#include <attnlab/random.h>

#include "base/convert.h"
#include "ops/onednn_product.h"

#include "parallel/keep_threads.h"

namespace attnlab {
namespace {

constexpr std::uint64_t kSeed = 4242;
constexpr float kUntouched = -7.5F;

struct Form {
  std::int64_t rows, columns, depth;
  bool a_transposed, b_transposed, accumulate;
  Arithmetic arithmetic = Arithmetic::f32;
};

std::ostream& operator<<(std::ostream& out, const Form& form) {
  return out << form.rows << " x " << form.columns << " x " << form.depth << (form.a_transposed ? ", a'" : "")
             << (form.b_transposed ? ", b'" : "") << (form.accumulate ? ", accumulated" : "") << ", "
             << arithmetic_name(form.arithmetic) << ", seed " << kSeed;
}

std::vector<float> uniform(std::size_t count, SplitMix64& random) {
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(2 * random.uniform() - 1);
  return values;
}

// Both sides and the output lie in wider rows.
struct Case {
  explicit Case(const Form& of, std::int64_t stride_of_b = 0)
      : form(of),
        a_stride((of.a_transposed ? of.rows : of.depth) + 3),
        b_stride(stride_of_b != 0 ? stride_of_b : (of.b_transposed ? of.depth : of.columns) + 5),
        out_stride(of.columns + 2) {
    SplitMix64 random(kSeed);
    a = uniform(a_stride * (of.a_transposed ? of.depth : of.rows), random);
    b = uniform(b_stride * (of.b_transposed ? of.columns : of.depth), random);
    before = uniform(of.rows * out_stride, random);
    for (std::int64_t row = 0; row < of.rows; ++row)
      for (std::int64_t i = 0; i < out_stride; ++i) {
        float& value = before[row * out_stride + i];
        if (i >= of.columns)
          value = kUntouched;
        else if (!of.accumulate)
          value = std::nanf("");  // would stay, were it read
      }
  }

  [[nodiscard]] std::vector<float> run() const {
    std::vector<float> out = before;
    dense_product({.a = a.data(),
                   .a_stride = a_stride,
                   .a_transposed = form.a_transposed,
                   .b = b.data(),
                   .b_stride = b_stride,
                   .b_transposed = form.b_transposed,
                   .out = out.data(),
                   .out_stride = out_stride,
                   .rows = form.rows,
                   .columns = form.columns,
                   .depth = form.depth,
                   .accumulate = form.accumulate,
                   .arithmetic = form.arithmetic});
    return out;
  }

  [[nodiscard]] double expected(std::int64_t row, std::int64_t column) const {
    double sum = form.accumulate ? before[row * out_stride + column] : 0;
    for (std::int64_t k = 0; k < form.depth; ++k) {
      const double left = form.a_transposed ? a[k * a_stride + row] : a[row * a_stride + k];
      const double right = form.b_transposed ? b[column * b_stride + k] : b[k * b_stride + column];
      sum += multiplied(left) * multiplied(right);
    }
    return sum;
  }
  // What the product sees of a number.
  [[nodiscard]] double multiplied(double number) const {
    return form.arithmetic == Arithmetic::f32 ? number : from_bf16(to_bf16(static_cast<float>(number)));
  }

  Form form;
  std::int64_t a_stride, b_stride, out_stride;
  std::vector<float> a, b, before;
};

constexpr std::int64_t kShapes[][3] = {
    {1, 1, 1},      {1, 70, 33},    {37, 1, 20},     {5, 3, 2},  // vectors and odd edges
    {48, 40, 2100}, {20, 33, 1500}, {7, 5, 5000},                // sliced depth, ragged too
    {700, 40, 65},  {130, 530, 70}, {513, 17, 1030},             // several tasks of rows, of columns, of all three
};

std::vector<Form> all_forms(Arithmetic arithmetic = Arithmetic::f32) {
  std::vector<Form> forms;
  for (const auto& [rows, columns, depth] : kShapes)
    for (const int bits : {0, 1, 2, 3, 4, 5, 6, 7})
      forms.push_back({rows, columns, depth, (bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0, arithmetic});
  return forms;
}

void expect_agreement(const Form& form, std::int64_t stride_of_b = 0) {
  SCOPED_TRACE(testing::Message() << form);
  const Case c(form, stride_of_b);
  const std::vector<float> out = c.run();
  // Terms are below 1 in size with a mean square of 1/9, so sums grow with sqrt(depth) and errors no faster.
  const double tolerance = 2e-6 * std::sqrt(static_cast<double>(form.depth) + 1);
  double worst = 0;
  int touched = 0;
  for (std::int64_t row = 0; row < form.rows; ++row) {
    for (std::int64_t i = 0; i < form.columns; ++i) {
      const double error = std::abs(out[row * c.out_stride + i] - c.expected(row, i));
      worst = std::isnan(error) ? HUGE_VAL : std::max(worst, error);
    }
    for (std::int64_t i = form.columns; i < c.out_stride; ++i) touched += out[row * c.out_stride + i] != kUntouched;
  }
  EXPECT_LE(worst, tolerance);
  EXPECT_EQ(touched, 0);
}

TEST(DenseProduct, AgreesWithTheLoopsInDoubleAndTouchesNothingElse) {
  for (const Form& form : all_forms()) expect_agreement(form);
}

TEST(DenseProduct, InBf16AgreesWithTheLoopsOverRoundedNumbers) {
  if (!has_bf16_products()) GTEST_SKIP() << "no AVX512-BF16 and no AMX";
  for (const Form& form : all_forms(Arithmetic::bf16)) expect_agreement(form);
  expect_agreement({1100, 40, 67, false, false, true, Arithmetic::bf16}, 1024);
}

TEST(DenseProduct, AgreesWhereRowsOfTheRightSideAreWholePagesApart) {
  for (const bool accumulate : {false, true}) {
    expect_agreement({1100, 40, 67, false, false, accumulate}, 1024);
    expect_agreement({1100, 40, 67, true, true, accumulate}, 1024);
    expect_agreement({100, 40, 67, true, false, accumulate}, 2048);
  }
}

TEST(DenseProduct, HasTheSameBitsForEveryNumberOfThreads) {
  const KeepThreads keep;
  std::vector<Form> forms = all_forms();
  if (has_bf16_products()) std::ranges::copy(all_forms(Arithmetic::bf16), std::back_inserter(forms));
  for (const Form& form : forms) {
    const Case c(form);
    set_threads(1);
    const std::vector<float> alone = c.run();
    for (const int count : {2, 3, 5}) {
      set_threads(count);
      const std::vector<float> out = c.run();
      EXPECT_EQ(std::memcmp(out.data(), alone.data(), out.size() * sizeof(float)), 0) << form << ", " << count;
    }
  }
}

TEST(DenseProduct, OfNoDepthIsZeroOrWhatWasThere) {
  const Case replaced({4, 6, 0, false, false, false});
  const std::vector<float> out = replaced.run();
  for (std::int64_t row = 0; row < 4; ++row)
    for (std::int64_t i = 0; i < 6; ++i) EXPECT_EQ(out[row * replaced.out_stride + i], 0.0F);
  const Case added({4, 6, 0, false, false, true});
  EXPECT_EQ(added.run(), added.before);
}

TEST(DenseProduct, WithoutRowsOrColumnsDoesNothing) {
  for (const Form& form : {Form{0, 6, 4, false, false, false}, Form{6, 0, 4, true, true, false}}) {
    const Case c(form);
    EXPECT_EQ(c.run(), c.before) << form;
  }
}

}  // namespace
}  // namespace attnlab
