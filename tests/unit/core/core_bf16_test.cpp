// Attention of rounded numbers: products of pairs against double precision, the core against its slow form that rounds
// the same numbers, and what keeps f32. Skipped by name on a CPU without these instructions.
#include <gtest/gtest.h>

#include <cmath>

#include "base/convert.h"
#include "core/attend_reference.h"
#include "machine/instructions.h"
#include "parallel/parallel.h"
#include "reference/attend_case.h"
#include "tiles/bf16_tiles.h"

namespace attnlab {
namespace {

using namespace reference;

constexpr std::uint64_t kSeed = 2611;

class Bf16Core : public testing::Test {
 protected:
  void SetUp() override {
    if (!experiment::multiplies_bf16()) GTEST_SKIP() << "this CPU has no instructions for bf16";
  }
};

AttendCase make_case(int index) {
  Stream stream(kSeed + index);
  return {ragged_shape(index, stream), stream};
}

double rounded(float number) {
  return from_bf16(to_bf16(number));
}

TEST_F(Bf16Core, ProductsOfPairsAreThoseOfRoundedNumbers) {
  Stream stream(kSeed);
  for (const int rows : {1, 2, 3, 5, 6, 7, 13, 96})
    for (const int depth : {1, 2, 17, 64, 65})
      for (const int columns : {1, 15, 16, 33, 64, 100}) {
        const int stride = columns + 3, out_stride = (columns + 15) / 16 * 16;
        const std::vector<float> a = stream.normals(std::int64_t{rows} * (depth + 2));
        const std::vector<float> b = stream.normals(std::int64_t{depth} * stride);
        std::vector<std::uint16_t> of_a(static_cast<std::size_t>(rows) * paired(depth));
        std::vector<std::uint16_t> of_b(static_cast<std::size_t>(paired(depth)) * out_stride);
        round_rows(a.data(), depth + 2, rows, depth, of_a.data());
        pair_rows(b.data(), stride, depth, columns, of_b.data());
        for (const bool accumulate : {false, true}) {
          std::vector<float> out(static_cast<std::size_t>(rows) * out_stride, 0.5F);
          pair_product({of_a.data(), paired(depth), of_b.data(), out.data(), out_stride, rows, columns, paired(depth),
                        accumulate});
          for (int row = 0; row < rows; ++row)
            for (int column = 0; column < columns; ++column) {
              double sum = accumulate ? 0.5 : 0, size = 1;
              for (int k = 0; k < depth; ++k) {
                const double product = rounded(a[row * (depth + 2) + k]) * rounded(b[k * stride + column]);
                sum += product;
                size += std::abs(product);
              }
              ASSERT_NEAR(out[row * out_stride + column], sum, 4e-7 * size)
                  << rows << " x " << depth << " x " << columns << " at " << row << ", " << column;
            }
        }
      }
}

// By the slow form, which rounds queries, keys and values; what is left is the rounding of weights.
TEST_F(Bf16Core, AgreesWithTheSlowFormOnRaggedBatches) {
  for (int index = 0; index < 30; ++index) {
    AttendCase c = make_case(index);
    if (index % 6 == 1)  // as in a cache that numbers rows anew
      for (std::vector<Row>& rows : c.rows.lists)
        for (std::size_t row = 0; row < rows.size(); ++row)
          if (row % 100 < 60) rows[row].query_cap = row % 100 < 30 ? 40 : 90;
    const ChunkView chunk = c.chunk.view();
    const TestRotation rotation;
    const TanhCap cap(9);
    const DistanceBias bias;
    AttendOptions options;
    options.compute = Arithmetic::bf16;
    options.window = index % 3 == 0 ? 70 : 0;
    if (index % 2 == 0 && c.shape.kv.key_dim <= 256) options.rotation = &rotation;
    if (index % 4 < 2) options.hooks = {&bias, &cap};
    if (index % 5 == 0) options.sink_logits = Stream(kSeed + index).normals(c.shape.heads());
    const CausalMask mask(options.window);
    const RowSource source(c.rows, {.lengths = c.chunk.lengths});
    const AttendArgs args{.queries = rows_view(c.queries, c.shape.heads(), c.shape.kv.key_dim),
                          .chunk = chunk,
                          .source = source,
                          .scale = c.scale(),
                          .rotation = options.rotation,
                          .hooks = options.hooks,
                          .mask = mask,
                          .sink_logits = options.sink_logits,
                          .compute = Arithmetic::bf16};
    std::vector<QueryOfHead> queries;
    for (int token = 0; token < chunk.tokens(); ++token)
      for (int head = 0; head < c.shape.heads(); ++head) queries.push_back({token, head});
    std::vector<double> log_sums(queries.size());
    const std::vector<double> slow = attend_reference(args, queries, log_sums);
    std::vector<float> found_log_sums;
    const std::vector<float> found = run_attend(c, options, &found_log_sums);
    double largest = 0;
    for (const auto& list : c.rows.lists)
      for (const Row& row : list)
        for (const float number : row.value) largest = std::max<double>(largest, std::abs(number));
    for (std::size_t i = 0; i < found.size(); ++i)
      ASSERT_NEAR(found[i], slow[i], 0x1p-8 * largest) << c.shape << ", number " << i;
    for (std::size_t i = 0; i < log_sums.size(); ++i)
      ASSERT_NEAR(found_log_sums[i], log_sums[i], 1e-4) << c.shape << ", log_sum " << i;
  }
}

TEST_F(Bf16Core, RoundsNothingOfAFewTokensAndSomethingOfMany) {
  Stream stream(kSeed);
  const AttendShape shape{{.kv_heads = 1, .key_dim = 64, .value_dim = 64}, 32, {200, 200}, {8, 9}};
  const AttendCase c{shape, stream};
  AttendOptions options;
  const std::vector<float> plain = run_attend(c, options);
  options.compute = Arithmetic::bf16;
  const std::vector<float> found = run_attend(c, options);
  const std::size_t few = std::size_t{8} * shape.heads() * 64;  // numbers of the first sequence
  EXPECT_TRUE(std::equal(found.begin(), found.begin() + few, plain.begin()));
  EXPECT_FALSE(std::equal(found.begin() + few, found.end(), plain.begin() + few));
}

TEST_F(Bf16Core, GivesTheSameBitsForEveryNumberOfThreadsAndEveryBatch) {
  const int before = threads();
  for (int index = 0; index < 12; ++index) {
    const AttendCase c = make_case(index);
    AttendOptions options;
    options.compute = Arithmetic::bf16;
    set_threads(1);
    const std::vector<float> alone = run_attend(c, options);
    for (const int count : {2, 5}) {
      set_threads(count);
      EXPECT_TRUE(run_attend(c, options) == alone) << count << " threads, " << c.shape;
    }
  }
  set_threads(before);
}

TEST_F(Bf16Core, GivesNotANumberWhereAKeyIsNone) {
  AttendCase c = make_case(1);
  for (auto& list : c.rows.lists) list.front().key.front() = std::numeric_limits<float>::quiet_NaN();
  AttendOptions options;
  options.compute = Arithmetic::bf16;
  for (const float number : run_attend(c, options)) ASSERT_TRUE(std::isnan(number));
}

}  // namespace
}  // namespace attnlab
