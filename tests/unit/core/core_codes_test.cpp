// Decode computes with int8 and int4 codes and bf16 numbers as they stand: the answer is that of the tile decoded
// first, numbers that are none still show, and where they may not be read as they are they are not.
#include <array>
#include <atomic>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

#include "core/attend.h"
#include "reference/storage_reference.h"
#include "reference/streams.h"

namespace attnlab {
namespace {

using namespace reference;

constexpr double kTolerance = 1e-5;

// Hands tiles on, and counts those that come as codes; or asks for numbers where the core would take codes.
class Watched final : public KvSource {
 public:
  Watched(const KvSource& source, bool gives_codes, KeyForm key_form)
      : source_(source), gives_codes_(gives_codes), key_form_(key_form) {}
  KvShape shape() const noexcept override { return source_.shape(); }
  KeyForm key_form() const noexcept override { return key_form_; }
  int tiles(int sequence, int kv_head) const noexcept override { return source_.tiles(sequence, kv_head); }
  KvTile tile(int sequence, int kv_head, int index, TileScratch& scratch) const noexcept override {
    TileScratch asked = scratch;
    asked.takes_codes = scratch.takes_codes && gives_codes_;
    const KvTile tile = source_.tile(sequence, kv_head, index, asked);
    if (!tile.key_codes.empty()) ++keys;
    if (!tile.value_codes.empty()) ++values;
    return tile;
  }
  mutable std::atomic<int> keys = 0;    // tiles whose keys came as codes
  mutable std::atomic<int> values = 0;  // whose values did

 private:
  const KvSource& source_;
  bool gives_codes_;
  KeyForm key_form_;
};

class Still final : public Rotation {
 public:
  void rotate(const RotateArgs&, TensorView<float, 3>) const noexcept override {}
};

struct Case {
  StorageSpec storage;
  int width;
  int group;
  int rows;
  int tokens = 1;
  friend std::ostream& operator<<(std::ostream& out, const Case& c) {
    return out << c.storage.text() << ", width " << c.width << ", group " << c.group << ", " << c.rows << " rows, "
               << c.tokens << " tokens";
  }
};

// One sequence with two kv heads; the newest tokens are the queries.
class Decode {
 public:
  Decode(const Case& c, std::uint64_t seed) : case_(c), source_(c.storage, shape(), 1) {
    Stream stream(seed);
    queries_ = stream.normals(std::int64_t{c.tokens} * heads() * c.width);
    keys = stream.normals(std::int64_t{c.rows} * 2 * c.width);
    values = stream.normals(std::int64_t{c.rows} * 2 * c.width);
    for (int row = 0; row < c.rows; row += 5)  // vectors of another size beside them
      for (int i = 0; i < c.width; ++i) values[(row * 2 + 1) * c.width + i] *= 1000;
  }

  // [tokens, heads, width]
  std::vector<float> answer(bool with_codes, KeyForm key_form = KeyForm::rotated) {
    std::vector<Position> positions(case_.rows);
    std::iota(positions.begin(), positions.end(), 0);
    source_.rows().clear(0);
    source_.rows().append(0, positions, rows_view(std::as_const(keys), 2, case_.width),
                          rows_view(std::as_const(values), 2, case_.width));
    const Watched watched(source_, with_codes, key_form);
    const Still still;
    const Chunk chunk = Chunk().add(case_.rows - case_.tokens, case_.tokens, Phase::decode);
    const ChunkView view = chunk.view();
    std::vector<float> out(std::size_t(case_.tokens) * heads() * case_.width);
    attend({.queries = rows_view(std::as_const(queries_), heads(), case_.width),
            .chunk = view,
            .source = watched,
            .scale = 1 / std::sqrt(static_cast<float>(case_.width)),
            .rotation = &still,
            .mask = CausalMask()},
           rows_view(out, heads(), case_.width));
    key_tiles = watched.keys;
    value_tiles = watched.values;
    return out;
  }
  [[nodiscard]] KvShape shape() const { return {.kv_heads = 2, .key_dim = case_.width, .value_dim = case_.width}; }
  [[nodiscard]] int heads() const { return 2 * case_.group; }
  [[nodiscard]] int tiles() const { return 2 * ((case_.rows + kTileRows - 1) / kTileRows); }

  std::vector<float> keys, values;  // [rows, 2, width]
  int key_tiles = 0, value_tiles = 0;

 private:
  Case case_;
  RowsSource source_;
  std::vector<float> queries_;
};

const StorageSpec kInt8{.keys = "int8", .values = "int8"};
const StorageSpec kBf16{.keys = "bf16", .values = "bf16"};
const StorageSpec kInt4{.keys = "int4", .values = "int4"};

class Codes : public testing::TestWithParam<StorageSpec> {};

TEST_P(Codes, AreReadInPlaceAndAnswerAsTheDecodedTile) {
  for (const int width : {32, 48, 64, 96, 128})
    for (int group = 1; group <= 16; ++group)
      for (const int rows : {1, 2, 63, 64, 65, 130, 64 * 9 + 5}) {  // the last is split among tasks
        const Case c{GetParam(), width, group, rows};
        Decode run(c, 40 + group);
        const std::vector<float> decoded = run.answer(false);
        ASSERT_EQ(run.key_tiles + run.value_tiles, 0) << c;
        const std::vector<float> in_place = run.answer(true);
        const bool is_whole = GetParam().keys != "int4" || width % 32 == 0;  // groups of 4-bit codes divide the width
        ASSERT_EQ(run.key_tiles, is_whole ? run.tiles() : 0) << c;
        ASSERT_EQ(run.value_tiles, is_whole ? run.tiles() : 0) << c;
        if (GetParam().keys == "bf16" || !is_whole)
          ASSERT_TRUE(same_bits(in_place, decoded)) << c;  // every number is exact as a float
        else
          ASSERT_LT(normalised_error(in_place, decoded), kTolerance) << c;
      }
}

TEST_P(Codes, AreReadInPlaceForAFewQueriesAtOnce) {
  for (const int tokens : {2, 4}) {
    const Case c{GetParam(), 64, 4, 150, tokens};
    Decode run(c, 3);
    const std::vector<float> decoded = run.answer(false);
    ASSERT_LT(normalised_error(run.answer(true), decoded), kTolerance) << c;
    EXPECT_EQ(run.key_tiles, run.tiles()) << c;
  }
}

TEST(CodesOfSides, AreReadEachForThemselves) {
  struct Part {
    StorageSpec storage;
    bool keys, values;
  };
  const std::vector<Part> parts{{{"int8", "int4"}, true, true},     {{"f32", "int8"}, false, true},
                                {{"int8", "bf16"}, true, true},     {{"int8", "int8", 128}, true, true},
                                {{"int8", "int8", 16}, true, true}, {{"bf16", "bf16", 16}, true, true},
                                {{"int4", "f32"}, true, false},     {{"bf16", "bf16", 128}, true, true},
                                {{"int4", "int4", 16}, true, true}, {{"fp8", "hadamard"}, false, false}};
  for (const auto& [storage, keys, values] : parts) {
    const Case c{storage, 64, 4, 200};
    Decode run(c, 9);
    const std::vector<float> decoded = run.answer(false);
    const std::vector<float> found = run.answer(true);
    EXPECT_EQ(run.key_tiles, keys ? run.tiles() : 0) << c;
    EXPECT_EQ(run.value_tiles, values ? run.tiles() : 0) << c;
    EXPECT_LT(normalised_error(found, decoded), kTolerance) << c;
  }
}

// Prompts share a decoded tile among many queries, and keys that are still to be rotated have to be numbers.
TEST_P(Codes, AreNotAskedForWhereNumbersAreNeeded) {
  Decode prompt({GetParam(), 64, 4, 200, 150}, 4);
  (void)prompt.answer(true);
  EXPECT_EQ(prompt.key_tiles + prompt.value_tiles, 0);
  Decode odd({GetParam(), 40, 2, 100}, 4);  // value rows that are no whole vectors
  const std::vector<float> decoded = odd.answer(false);
  EXPECT_TRUE(same_bits(odd.answer(true), decoded));
  EXPECT_EQ(odd.key_tiles + odd.value_tiles, 0);
  Decode unrotated({GetParam(), 64, 2, 100}, 4);
  const std::vector<float> of_numbers = unrotated.answer(false, KeyForm::unrotated);
  EXPECT_TRUE(same_bits(unrotated.answer(true, KeyForm::unrotated), of_numbers));
  EXPECT_EQ(unrotated.key_tiles + unrotated.value_tiles, 0);
}

// In a key every answer of its head is lost, in a value too; the other head goes on.
TEST(CodesOfInt8, ShowNumbersThatAreNotFinite) {
  for (const float odd : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                          -std::numeric_limits<float>::infinity()})
    for (const bool in_key : {true, false})
      for (const int row : {0, 70, 129})
        for (const int group : {1, 4}) {
          const Case c{kInt8, 64, group, 130};
          Decode run(c, 6);
          (in_key ? run.keys : run.values)[(row * 2 + 1) * c.width + 37] = odd;
          for (const bool with_codes : {true, false}) {
            const std::vector<float> out = run.answer(with_codes);
            ASSERT_EQ(run.key_tiles, with_codes ? run.tiles() : 0);
            for (int head = 0; head < run.heads(); ++head) {
              const std::span<const float> of_head = std::span(out).subspan(std::size_t(head) * c.width, c.width);
              const auto finite = std::ranges::count_if(of_head, [](float x) { return std::isfinite(x); });
              EXPECT_EQ(finite, head < group ? c.width : 0)
                  << odd << (in_key ? " in a key" : " in a value") << ", " << c << (with_codes ? "" : ", decoded");
            }
          }
        }
}

// What is not finite shows where it shows in the decoded tile: of bf16 in the number itself, of 4-bit codes in its
// group.
TEST(CodesOfGroups, ShowNumbersThatAreNotFiniteAsTheDecodedTile) {
  for (const StorageSpec& storage : {kBf16, kInt4})
    for (const float odd : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()})
      for (const bool in_key : {true, false})
        for (const int row : {0, 70, 129}) {
          const Case c{storage, 64, 2, 130};
          Decode run(c, 6);
          (in_key ? run.keys : run.values)[(row * 2 + 1) * c.width + 37] = odd;
          const std::vector<float> in_place = run.answer(true), decoded = run.answer(false);
          for (std::size_t i = 0; i < decoded.size(); ++i)
            EXPECT_EQ(std::isfinite(in_place[i]), std::isfinite(decoded[i])) << odd << ", " << c << ", at " << i;
          const auto lost = std::ranges::count_if(in_place, [](float x) { return !std::isfinite(x); });
          const bool is_of_group = storage.keys == "int4";
          if (in_key && (is_of_group || std::isnan(odd))) EXPECT_EQ(lost, 2 * c.width) << odd << ", " << c;
          if (!in_key) EXPECT_EQ(lost, is_of_group ? 2 * 32 : 2) << odd << ", " << c;
        }
}

INSTANTIATE_TEST_SUITE_P(, Codes, testing::Values(kInt8, kBf16, kInt4),
                         [](const auto& test) { return test.param.keys; });

}  // namespace
}  // namespace attnlab
