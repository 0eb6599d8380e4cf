// Products with a state, and the steps of a scan, against plain loops in double precision; at widths that are no
// multiple of a vector too.
#include <attnlab/state_products.h>

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "model/random_weights.h"
#include "ops/state_kernels.h"

namespace attnlab {
namespace {

std::vector<float> numbers(const char* name, std::size_t count) {
  std::vector<float> all(count);
  model::random_values(7, name, 0, all, 1.0F);
  return all;
}

void expect_near(const std::vector<float>& found, const std::vector<double>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i)
    EXPECT_NEAR(found[i], expected[i], 2e-5 * (1 + std::abs(expected[i]))) << "at " << i;
}

struct Size {
  std::int64_t rows, columns;
};

class EveryStateSize : public testing::TestWithParam<Size> {};

TEST_P(EveryStateSize, ProductsAreThoseOfPlainLoops) {
  const auto [rows, columns] = GetParam();
  const std::vector<float> m = numbers("m", rows * columns), a = numbers("a", rows), b = numbers("b", columns);
  std::vector<float> outer = m, transposed = b, product = a;
  add_outer_product(outer.data(), rows, columns, a.data(), b.data());
  add_transposed_product(m.data(), rows, columns, a.data(), transposed.data());
  add_matrix_product(m.data(), rows, columns, b.data(), product.data());
  std::vector<double> of_outer(m.begin(), m.end()), of_transposed(b.begin(), b.end()), of_product(a.begin(), a.end());
  for (std::int64_t i = 0; i < rows; ++i)
    for (std::int64_t j = 0; j < columns; ++j) {
      of_outer[i * columns + j] += double{a[i]} * b[j];
      of_transposed[j] += double{a[i]} * m[i * columns + j];
      of_product[i] += double{b[j]} * m[i * columns + j];
    }
  expect_near(outer, of_outer);
  expect_near(transposed, of_transposed);
  expect_near(product, of_product);
  double inner = 0;
  for (std::int64_t j = 0; j < columns; ++j) inner += double{b[j]} * b[j];
  EXPECT_NEAR(inner_product(b.data(), b.data(), columns), inner, 1e-5 * inner);
}

INSTANTIATE_TEST_SUITE_P(Sizes, EveryStateSize,
                         testing::Values(Size{1, 1}, Size{3, 5}, Size{4, 16}, Size{7, 31}, Size{64, 64}, Size{6, 130}));

class EveryStateWidth : public testing::TestWithParam<int> {};

TEST_P(EveryStateWidth, AStepFadesWritesAndIsRead) {
  const std::int64_t d = GetParam(), heads = 3;
  const std::vector<float> before = numbers("before", d * d), key = numbers("key", d), written = numbers("written", d);
  const std::vector<float> queries = numbers("queries", heads * d);
  std::vector<float> logs = numbers("logs", d), decays(d), recalled(d), after(d * d), out(heads * (d + 1), 9.0F);
  for (float& log : logs) log = -std::abs(log);
  find_decays(logs.data(), d, decays.data());
  recall_state(before.data(), d, decays.data(), key.data(), recalled.data());
  step_state({.before = before.data(),
              .after = after.data(),
              .d = d,
              .decays = decays.data(),
              .key = key.data(),
              .written = written.data(),
              .readers = {.heads = heads, .queries = queries.data(), .stride = d, .scale = 0.5F},
              .out = out.data(),
              .out_stride = d + 1});
  std::vector<double> of_after(d * d), of_recalled(d), of_out(heads * (d + 1), 9.0);
  for (std::int64_t head = 0; head < heads; ++head)
    for (std::int64_t j = 0; j < d; ++j) of_out[head * (d + 1) + j] = 0;
  for (std::int64_t i = 0; i < d; ++i)
    for (std::int64_t j = 0; j < d; ++j) {
      const double faded = std::exp(double{logs[i]}) * before[i * d + j];
      of_recalled[j] += key[i] * faded;
      of_after[i * d + j] = faded + double{key[i]} * written[j];
      for (std::int64_t head = 0; head < heads; ++head)
        of_out[head * (d + 1) + j] += 0.5 * queries[head * d + i] * of_after[i * d + j];
    }
  expect_near(recalled, of_recalled);
  expect_near(after, of_after);
  expect_near(out, of_out);

  std::vector<float> same = before;
  step_state({.before = same.data(),
              .after = same.data(),
              .d = d,
              .decays = decays.data(),
              .key = key.data(),
              .written = written.data()});
  EXPECT_EQ(same, after);
}

INSTANTIATE_TEST_SUITE_P(Widths, EveryStateWidth, testing::Values(1, 4, 12, 16, 24, 64, 100));

}  // namespace
}  // namespace attnlab
