// Pairs of queries and rows as masks and selection leave them: counted tile by tile, and as by a count one by one.
#include "core/seen_pairs.h"

#include <gtest/gtest.h>

#include <atomic>

#include "reference/attend_case.h"

namespace attnlab {
namespace {

using namespace reference;

constexpr std::uint64_t kSeed = 17;

// A causal window that counts how often it is asked; some heads see twice as far.
class AskedMask final : public MaskRule {
 public:
  AskedMask(Position window, bool differs) : window_(window), near_(window), far_(2 * window), differs_(differs) {}
  Cover cover(const MaskPlace& place) const noexcept override {
    ++covers;
    if (!differs_ || place.heads == 1) return of(place.first_head).cover(place);
    const Cover near = near_.cover(place), far = far_.cover(place);
    return near == far ? near : Cover::partial;
  }
  void mask(ScoreTile& tile) const noexcept override {
    ++masks;
    for (std::int64_t member = 0; member < tile.scores.extent(0); ++member) {
      ScoreTile one = tile;
      one.scores = tile.scores.slice(member, 1);
      one.first_head = tile.first_head + static_cast<int>(member);
      of(one.first_head).mask(one);
    }
  }
  [[nodiscard]] bool sees(int head, Position query, Position key) const {
    const Position window = differs_ && head % 2 == 1 ? 2 * window_ : window_;
    return key <= query && (window == 0 || key > query - window);
  }
  mutable std::atomic<int> covers = 0, masks = 0;

 private:
  [[nodiscard]] const CausalMask& of(int head) const { return differs_ && head % 2 == 1 ? far_ : near_; }
  Position window_;
  CausalMask near_, far_;
  bool differs_;
};

struct Found {
  SeenPairs seen;
  double pairs = 0;  // one by one
  double rows = 0;
};

Found count(const AttendCase& c, const AskedMask& mask) {
  RowSource::Settings settings;
  settings.lengths = c.chunk.lengths;
  const RowSource source(c.rows, settings);
  const ChunkView chunk = c.chunk.view();
  Found found;
  found.seen = count_seen({.queries = rows_view(c.queries, c.shape.heads(), c.shape.kv.key_dim),
                           .chunk = chunk,
                           .source = source,
                           .scale = 1,
                           .mask = mask});
  for (int sequence = 0; sequence < chunk.sequences(); ++sequence)
    for (int kv_head = 0; kv_head < c.shape.kv.kv_heads; ++kv_head)
      for (const Row& row : c.rows.at(sequence, kv_head)) {
        bool is_seen = false;
        for (const Position query : chunk.positions_of(sequence))
          for (int head = kv_head * c.shape.group; head < (kv_head + 1) * c.shape.group; ++head)
            if (mask.sees(head, query, row.position)) {
              found.pairs += 1;
              is_seen = true;
            }
        found.rows += is_seen ? 1 : 0;
      }
  return found;
}

TEST(SeenPairs, AreThoseThatACountOneByOneFinds) {
  for (const Position window : {0, 1, 40, 64, 100})
    for (const bool differs : {false, true}) {
      Stream stream(kSeed);
      const AttendCase c({{.kv_heads = 2, .key_dim = 4, .value_dim = 4}, 2, {300, 0, 20, 64}, {1, 150, 0, 3}}, stream);
      const AskedMask mask(window, differs);
      const Found found = count(c, mask);
      EXPECT_EQ(found.seen.pairs, found.pairs) << "window " << window;
      EXPECT_EQ(found.seen.rows, found.rows) << "window " << window;
    }
}

// A piece of a prompt at the end of a long context: a question for every tile, and for each query only at its diagonal.
TEST(SeenPairs, OfALongContextCostAQuestionForMostOfItsTiles) {
  constexpr int kHeld = 15872;
  constexpr int kTokens = 512;
  Stream stream(kSeed);
  const AttendCase c({{.kv_heads = 1, .key_dim = 2, .value_dim = 2}, 4, {kHeld}, {kTokens}}, stream);
  const AskedMask mask(0, false);
  RowSource::Settings settings;
  settings.lengths = c.chunk.lengths;
  const RowSource source(c.rows, settings);
  const SeenPairs seen = count_seen(
      {.queries = rows_view(c.queries, 4, 2), .chunk = c.chunk.view(), .source = source, .scale = 1, .mask = mask});
  EXPECT_EQ(seen.pairs, 4.0 * (static_cast<double>(kHeld) * kTokens + kTokens * (kTokens + 1) / 2.0));
  constexpr int kTiles = (kHeld + kTokens) / kTileRows;
  constexpr int kOfDiagonal = kTokens / kTileRows * kTokens;  // tiles that some queries of the piece do not see whole
  EXPECT_LE(mask.covers, kTiles + kOfDiagonal + 2 * 4 * kTokens);
  EXPECT_LE(mask.masks, 4 * kTokens) << "a query head sees one tile in part";
}

}  // namespace
}  // namespace attnlab
