// Laws of `attend` that need no reference: what must not change a bit, and what must change nothing beyond rounding.
// That the numbers are right at all: core_attend_reference_test.cpp.
#include <algorithm>
#include <numeric>

#include <gtest/gtest.h>

#include "reference/f32_source.h"

namespace attnlab {
namespace {

using namespace reference;

constexpr std::uint64_t kSeed = 917;

AttendCase make_case(const AttendShape& shape, std::uint64_t seed) {
  Stream stream(seed);
  return {shape, stream};
}

AttendShape ragged(int index) {
  Stream stream(kSeed + index);
  return ragged_shape(index, stream);
}

// [tokens, heads, value_dim] with the heads in another order: head h of the result is head order[h] of `from`.
std::vector<float> reordered(const std::vector<float>& from, int width, const std::vector<int>& order) {
  std::vector<float> to;
  for (std::size_t token = 0; token < from.size() / (order.size() * width); ++token)
    for (const int head : order) {
      const auto at = from.begin() + (token * order.size() + head) * width;
      to.insert(to.end(), at, at + width);
    }
  return to;
}

// Every query of the case, its rows appended and attended to in chunks of the given sizes, in turn.
std::vector<float> run_in_chunks(const AttendCase& whole, const std::vector<int>& sizes) {
  const int held = whole.shape.held[0];
  F32Source source(whole.shape.kv, 1);
  source.append(whole.rows, 0, 0, 0, held);
  const std::size_t width = static_cast<std::size_t>(whole.shape.heads()) * whole.shape.kv.key_dim;
  std::vector<float> all;
  int done = 0;
  for (const int size : sizes) {
    AttendCase part = whole;
    part.chunk = Chunk().add(held + done, size);
    part.queries.assign(whole.queries.begin() + done * width, whole.queries.begin() + (done + size) * width);
    source.append(whole.rows, 0, 0, held + done, size);
    const std::vector<float> out = run_attend(part, source);
    all.insert(all.end(), out.begin(), out.end());
    done += size;
  }
  return all;
}

TEST(Attend, GivesTheSameBitsForEveryNumberOfThreads) {
  const KeepThreads keep;
  for (int index = 0; index < 24; ++index) {  // with prompts of several blocks, and decode steps that are split
    const AttendCase c = make_case(ragged(index), kSeed + index);
    set_threads(1);
    const std::vector<float> alone = run_attend(c);
    for (const int count : {2, 3, 5}) {
      set_threads(count);
      EXPECT_TRUE(same_bits(run_attend(c), alone)) << count << " threads, seed " << kSeed + index << ": " << c.shape;
    }
  }
}

TEST(Attend, GivesTheSameBitsForEveryNumberOfThreadsWhereKeysAreSplit) {
  const KeepThreads keep;
  const AttendShape shape{{.kv_heads = 2, .key_dim = 64, .value_dim = 16}, 4, {2000, 513, 5000}, {1, 4, 1}};
  const AttendCase c = make_case(shape, kSeed);
  set_threads(1);
  const std::vector<float> alone = run_attend(c);
  for (const int count : {2, 3, 5}) {
    set_threads(count);
    for (int repetition = 0; repetition < 5; ++repetition)
      EXPECT_TRUE(same_bits(run_attend(c), alone)) << count << " threads, seed " << kSeed;
  }
}

TEST(Attend, DoesNotCareAboutTheOrderOfHeadsInAGroup) {
  for (int index = 0; index < 24; ++index) {
    const AttendCase c = make_case(ragged(index), kSeed + index);
    std::vector<int> order(c.shape.heads());
    std::iota(order.begin(), order.end(), 0);
    for (auto group = order.begin(); group != order.end(); group += c.shape.group)
      std::reverse(group, group + c.shape.group);
    AttendCase turned = c;
    turned.queries = reordered(c.queries, c.shape.kv.key_dim, order);
    EXPECT_TRUE(same_bits(run_attend(turned), reordered(run_attend(c), c.shape.kv.value_dim, order)))
        << "seed " << kSeed + index << ": " << c.shape;
  }
}

TEST(Attend, DoesNotCareAboutTheOrderOfKvHeads) {
  AttendShape shape{{.kv_heads = 3, .key_dim = 20, .value_dim = 64}, 2, {100, 600}, {70, 1}};
  const AttendCase c = make_case(shape, kSeed);
  AttendCase turned = c;
  const std::vector<int> order{4, 5, 0, 1, 2, 3};  // kv heads 2, 0, 1
  turned.queries = reordered(c.queries, shape.kv.key_dim, order);
  for (int sequence = 0; sequence < 2; ++sequence)
    for (int head = 0; head < 3; ++head) turned.rows.at(sequence, head) = c.rows.at(sequence, order[2 * head] / 2);
  EXPECT_TRUE(same_bits(run_attend(turned), reordered(run_attend(c), shape.kv.value_dim, order))) << "seed " << kSeed;
}

TEST(Attend, DoesNotCareAboutTheSizesOfChunks) {
  for (const int held : {0, 37, 700}) {
    SCOPED_TRACE(testing::Message() << held << " rows before, seed " << kSeed + held);
    const AttendShape shape{{.kv_heads = 2, .key_dim = 64, .value_dim = 20}, 3, {held}, {64}};
    const AttendCase c = make_case(shape, kSeed + held);
    const std::vector<float> whole = run_in_chunks(c, {64});
    const double tolerance = std::min(1e-5, attend_tolerance(64, static_cast<std::size_t>(held) + 64, 6));
    EXPECT_LT(normalised_error(run_in_chunks(c, {1, 63}), whole), tolerance);
    EXPECT_LT(normalised_error(run_in_chunks(c, {17, 30, 17}), whole), tolerance);
    EXPECT_LT(normalised_error(run_in_chunks(c, std::vector<int>(64, 1)), whole), tolerance);
  }
}

TEST(Attend, AnswersABatchAsItsSequencesAlone) {
  for (int index = 0; index < 24; ++index) {
    AttendShape shape = ragged(index);
    shape.held.resize(2, 600);
    shape.tokens.resize(2, 3);
    const AttendCase both = make_case(shape, kSeed + index);
    std::vector<float> one_by_one;
    for (int sequence = 0; sequence < 2; ++sequence) {
      AttendCase alone = both;
      alone.chunk = Chunk().add(shape.held[sequence], shape.tokens[sequence]);
      for (int head = 0; head < shape.kv.kv_heads; ++head) alone.rows.at(0, head) = both.rows.at(sequence, head);
      alone.rows.lists.resize(shape.kv.kv_heads);
      const std::size_t width = static_cast<std::size_t>(shape.heads()) * shape.kv.key_dim;
      const auto first = both.queries.begin() + both.chunk.offsets[sequence] * width;
      alone.queries.assign(first, first + shape.tokens[sequence] * width);
      const std::vector<float> out = run_attend(alone);
      one_by_one.insert(one_by_one.end(), out.begin(), out.end());
    }
    EXPECT_TRUE(same_bits(run_attend(both), one_by_one)) << "seed " << kSeed + index << ": " << both.shape;
  }
}

TEST(Attend, GivesZerosToAQueryThatSeesNothing) {
  const AttendShape shape{{.kv_heads = 2, .key_dim = 16, .value_dim = 20}, 2, {10, 0, 900}, {20, 5, 1}};
  AttendCase c = make_case(shape, kSeed);
  for (std::size_t list = 0; list < c.rows.lists.size(); ++list)
    for (Row& row : c.rows.lists[list]) row.position += 25;  // queries 10 .. 24 and 900 .. 924 see nothing of theirs
  c.rows.lists[2].clear();                                   // and the second sequence has no rows at all
  c.rows.lists[3].clear();
  c.rows.lists[5].clear();  // nor has one head of the third
  for (Row& row : c.rows.lists[4]) row.position += 900;
  for (const std::vector<float>& sinks : {std::vector<float>{}, std::vector<float>{-3, 0, 5, 100}}) {
    const std::vector<float> out = run_attend(c, {.sink_logits = sinks});
    const auto width = static_cast<std::size_t>(shape.heads()) * shape.kv.value_dim;
    for (std::size_t token = 0; token < out.size() / width; ++token) {
      const bool sees = token >= 15 && token < 20;
      EXPECT_EQ(
          std::all_of(out.begin() + token * width, out.begin() + (token + 1) * width, [](float x) { return x == 0; }),
          !sees)
          << "token " << token << ", " << sinks.size() << " sink logits, seed " << kSeed;
    }
  }
}

TEST(Attend, DoesNotCareAboutTheOrderOfRows) {
  for (int index = 0; index < 24; ++index) {
    const AttendCase c = make_case(ragged(index), kSeed + index);
    AttendCase permuted = c;
    Stream stream(index);
    for (std::vector<Row>& list : permuted.rows.lists) stream.shuffle(list);
    EXPECT_LT(normalised_error(run_attend(permuted), run_attend(c)),
              attend_tolerance(c.shape.kv.key_dim, static_cast<std::size_t>(c.shape.longest()), 6))
        << "seed " << kSeed + index << ": " << c.shape;
  }
}

TEST(Attend, LetsNoLaterKeyChangeABitOfAnEarlierOutput) {
  for (const int changed : {299, 290, 256, 255, 130, 65, 64, 63, 1}) {
    const AttendShape shape{{.kv_heads = 2, .key_dim = 20, .value_dim = 16}, 2, {0}, {300}};
    const AttendCase c = make_case(shape, kSeed);
    AttendCase later = c;
    Stream stream(kSeed + changed);
    for (std::vector<Row>& list : later.rows.lists)
      for (std::size_t row = changed; row < list.size(); ++row) {
        list[row].key = stream.normals(shape.kv.key_dim, 30);
        list[row].value = stream.normals(shape.kv.value_dim, 1e6);
      }
    const std::vector<float> before = run_attend(c);
    const std::vector<float> after = run_attend(later);
    const std::size_t width = static_cast<std::size_t>(shape.heads()) * shape.kv.value_dim;
    EXPECT_TRUE(same_bits(std::span(after).first(changed * width), std::span(before).first(changed * width)))
        << "rows from " << changed << ", seed " << kSeed;
    EXPECT_FALSE(
        same_bits(std::span(after).subspan(changed * width, width), std::span(before).subspan(changed * width, width)))
        << "the row of the query itself counts, row " << changed;
  }
}

TEST(Attend, LetsNoKeyBehindTheWindowChangeABitOfAnOutput) {
  const AttendShape shape{{.kv_heads = 1, .key_dim = 20, .value_dim = 16}, 3, {0}, {300}};
  const AttendCase c = make_case(shape, kSeed);
  AttendCase other = c;
  Stream stream(kSeed + 1);
  constexpr int kChanged = 150;  // rows below
  constexpr Position kWindow = 40;
  for (int row = 0; row < kChanged; ++row) other.rows.lists[0][row].key = stream.normals(shape.kv.key_dim, 30);
  const std::vector<float> before = run_attend(c, {.window = kWindow});
  const std::vector<float> after = run_attend(other, {.window = kWindow});
  const std::size_t free = static_cast<std::size_t>(kChanged + kWindow - 1) * shape.heads() * shape.kv.value_dim;
  EXPECT_TRUE(same_bits(std::span(after).subspan(free), std::span(before).subspan(free))) << "seed " << kSeed;
}

TEST(Attend, DoesNothingForAChunkWithoutTokens) {
  const AttendShape shape{{.kv_heads = 2, .key_dim = 16, .value_dim = 8}, 2, {3, 0}, {0, 0}};
  EXPECT_TRUE(run_attend(make_case(shape, kSeed)).empty());
}

TEST(Attend, WritesItsOwnRowsOfTheOutputAndNothingElse) {
  const AttendShape shape{{.kv_heads = 1, .key_dim = 16, .value_dim = 20}, 3, {30, 600}, {40, 1}};
  const AttendCase c = make_case(shape, kSeed);
  const std::vector<float> dense = run_attend(c);
  constexpr int kStride = 27;  // from head to head
  std::vector<float> wide(static_cast<std::size_t>(c.chunk.view().tokens()) * 3 * kStride, 7);
  const ChunkView chunk = c.chunk.view();
  attend({.queries = rows_view(c.queries, 3, 16),
          .chunk = chunk,
          .source = RowSource(c.rows, {}),
          .scale = c.scale(),
          .mask = CausalMask()},
         {wide.data(), {chunk.tokens(), 3, 20}, {3 * kStride, kStride, 1}});
  for (std::size_t row = 0; row < wide.size() / kStride; ++row)
    for (std::size_t i = 0; i < kStride; ++i)
      EXPECT_EQ(wide[row * kStride + i], i < 20 ? dense[row * 20 + i] : 7) << "row " << row << ", element " << i;
}

}  // namespace
}  // namespace attnlab
