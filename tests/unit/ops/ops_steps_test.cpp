// Laws of the steps that variants share: the norm of heads, what appending does to keys, and the sums of exponentials.
#include <cmath>

#include <attnlab/attention_variant.h>
#include <gtest/gtest.h>

#include "ops/row_steps.h"
#include "reference/attend_case.h"
#include "steps/direct_steps.h"
#include "steps/given_attention.h"

namespace attnlab {
namespace {

using namespace reference;

constexpr std::uint64_t kSeed = 55;

TEST(NormHeads, NormsEveryHeadOfEveryTokenByItself) {
  Stream stream(kSeed);
  for (const int width : {1, 8, 20, 64, 128})
    for (const int tokens : {0, 1, 31, 32, 33, 100}) {
      constexpr int kHeads = 3;
      std::vector<float> rows = stream.normals(std::int64_t{tokens} * kHeads * width, 3);
      const std::vector<float> weight = stream.normals(width);
      std::vector<double> right;
      for (std::size_t row = 0; row < rows.size(); row += width) {
        double squares = 0;
        for (int i = 0; i < width; ++i) squares += static_cast<double>(rows[row + i]) * rows[row + i];
        for (int i = 0; i < width; ++i) right.push_back(rows[row + i] / std::sqrt(squares / width + 1e-5) * weight[i]);
      }
      norm_rows(rows_view(std::as_const(rows), kHeads, width), weight, 1e-5F, rows_view(rows, kHeads, width));
      EXPECT_LT(normalised_error(rows, right), 8 * kRounding) << width << " x " << tokens << ", seed " << kSeed;
    }
}

TEST(NormHeads, TouchesNothingBetweenRowsThatLieApart) {
  Stream stream(kSeed);
  std::vector<float> rows = stream.normals(40 * 100);
  const std::vector<float> before = rows;
  const TensorView<float, 3> part{rows.data() + 10, {40, 2, 20}, {100, 30, 1}};
  norm_rows(part, stream.normals(20), 1e-6F, part);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const int column = static_cast<int>(i % 100) - 10;
    const bool inside = (column >= 0 && column < 20) || (column >= 30 && column < 50);
    EXPECT_EQ(rows[i] != before[i], inside) << i << ", seed " << kSeed;
  }
}

TEST(NormHeads, GivesTheSameBitsForEveryNumberOfThreads) {
  const KeepThreads keep;
  Stream stream(kSeed);
  const std::vector<float> rows = stream.normals(200 * 4 * 20);
  const std::vector<float> weight = stream.normals(20);
  std::vector<float> alone = rows;
  set_threads(1);
  norm_rows(rows_view(std::as_const(alone), 4, 20), weight, 1e-6F, rows_view(alone, 4, 20));
  for (const int count : {2, 3, 5}) {
    set_threads(count);
    std::vector<float> together = rows;
    norm_rows(rows_view(std::as_const(together), 4, 20), weight, 1e-6F, rows_view(together, 4, 20));
    EXPECT_TRUE(same_bits(together, alone)) << count << " threads, seed " << kSeed;
  }
}

// Keeps what it was given.
class RecordingCache final : public LayerCache {
 public:
  RecordingCache(const KvShape& shape, KeyForm form) : shape_(shape), form_(form) {}
  KvShape shape() const noexcept override { return shape_; }
  KeyForm key_form() const noexcept override { return form_; }
  int tiles(int, int) const noexcept override { return 0; }
  KvTile tile(int, int, int, TileScratch&) const noexcept override { return {}; }
  void append(const ChunkView&, const NewRows& rows) override {
    keys.assign(rows.keys.data(), rows.keys.data() + rows.keys.elements());
    values.assign(rows.values.data(), rows.values.data() + rows.values.elements());
  }
  void clear(int) override {}
  int rows(int, int) const noexcept override { return 0; }
  std::size_t bytes() const noexcept override { return 0; }

  std::vector<float> keys, values;

 private:
  KvShape shape_;
  KeyForm form_;
};

class RotatingScheme final : public PositionScheme {
 public:
  explicit RotatingScheme(const Rotation* rotation) : rotation_(rotation) {}
  const Rotation* rotation() const override { return rotation_; }

 private:
  const Rotation* rotation_;
};

TEST(AppendRows, RotatesKeysByTheirOwnPositionsWhereTheCacheStoresThemSo) {
  const KvShape shape{.kv_heads = 2, .key_dim = 16, .value_dim = 8};
  const Chunk chunk = Chunk().add(0, 70).add(500, 1).add(7, 0).add(33, 40);
  const ChunkView view = chunk.view();
  Stream stream(kSeed);
  const std::vector<float> keys = stream.normals(view.tokens() * 2 * 16);
  const std::vector<float> values = stream.normals(view.tokens() * 2 * 8);
  const TestRotation rotation;
  std::vector<double> rotated(keys.begin(), keys.end());
  for (int sequence = 0; sequence < view.sequences(); ++sequence)
    for (int token = view.first(sequence); token < view.first(sequence) + view.tokens_of(sequence); ++token)
      for (int head = 0; head < 2; ++head)
        TestRotation::turn(std::span(rotated).subspan((token * 2 + head) * 16, 16), view.positions[token],
                           RotateSide::key, view.lengths[sequence]);
  Scratch scratch;
  DirectSteps steps(scratch);
  for (const KeyForm form : {KeyForm::rotated, KeyForm::unrotated})
    for (const bool rotates : {false, true}) {
      const RotatingScheme scheme(rotates ? &rotation : nullptr);
      RecordingCache cache(shape, form);
      std::vector<float> given = keys;
      GivenAttention rows(shape, 2);
      rows.set_attends(GivenAttention::Attends::where_watched);
      rows.give({}, rows_view(given, 2, 16), rows_view(values, 2, 8));
      run_layer(steps, rows, {.chunk = view, .cache = cache, .position = scheme}, {}, {});
      if (rotates && form == KeyForm::rotated)
        EXPECT_LT(normalised_error(cache.keys, rotated), 4 * kRounding) << "seed " << kSeed;
      else
        EXPECT_TRUE(same_bits(cache.keys, keys));
      EXPECT_TRUE(same_bits(cache.values, values));
    }
}

}  // namespace
}  // namespace attnlab
