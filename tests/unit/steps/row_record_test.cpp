// What is remembered of appended rows, and what is known no longer: after a step that was taken back, a gap, and in a
// sequence that goes on from other rows than those that were appended to it.
#include "steps/row_record.h"

#include <gtest/gtest.h>

namespace attnlab {
namespace {

// Rows [key, value] of one number each, from position `first` on.
void append(const RowRecord& record, RowRecord::List& list, std::uint64_t history, Position first, int count,
            float number) {
  for (Position position = first; position < first + count; ++position) {
    record.begin_row(list, history, position, 2);
    const float key = number + static_cast<float>(position);
    if (record.remembers(position)) record.set(list, position, {&key, 1}, {&number, 1});
  }
}

// The rows that are known: their positions, all with this number.
std::vector<Position> known(const RowRecord& record, const RowRecord::List& list, float number) {
  std::vector<Position> positions;
  for (Position position = 0; position < list.length + 3; ++position) {
    const std::span<const float> row = record.row(list, position);
    if (!row.empty() && row[0] == number + static_cast<float>(position) && row[1] == number)
      positions.push_back(position);
  }
  return positions;
}

std::vector<Position> range(Position first, Position end) {
  std::vector<Position> all;
  for (Position position = first; position < end; ++position) all.push_back(position);
  return all;
}

TEST(RowRecord, GoesOnFromAPositionThatWasTakenBack) {
  const RowRecord record;
  RowRecord::List list;
  append(record, list, 1, 0, 10, 100);
  append(record, list, 1, 6, 2, 200);
  EXPECT_EQ(list.length, 8);
  EXPECT_EQ(known(record, list, 100), range(0, 6));
  EXPECT_EQ(known(record, list, 200), range(6, 8));
}

// A state that was restored: of another length, and of the same.
TEST(RowRecord, KnowsNoRowOfAnotherHistory) {
  for (const Position restored : {4, 9, 10, 15}) {
    const RowRecord record;
    RowRecord::List list;
    append(record, list, 1, 0, 10, 100);
    append(record, list, 2, restored, 3, 200);
    EXPECT_EQ(list.length, restored + 3);
    EXPECT_EQ(list.unseen, restored);
    EXPECT_EQ(known(record, list, 100), range(0, 0)) << "restored at " << restored;
    EXPECT_EQ(known(record, list, 200), range(restored, restored + 3));
  }
}

TEST(RowRecord, KnowsNoRowBeforeAGapAndNoneOfAnotherWidth) {
  const RowRecord record;
  RowRecord::List list;
  append(record, list, 1, 0, 10, 100);
  append(record, list, 1, 12, 3, 200);
  EXPECT_EQ(known(record, list, 100), range(0, 0));
  EXPECT_EQ(known(record, list, 200), range(12, 15));
  record.begin_row(list, 1, 15, 3);
  EXPECT_EQ(known(record, list, 200), range(0, 0));
}

TEST(RowRecord, BeginsAnewAtTheFirstPosition) {
  const RowRecord record(4);
  RowRecord::List list;
  append(record, list, 0, 0, 12, 100);
  append(record, list, 0, 0, 5, 200);
  EXPECT_EQ(list.length, 5);
  EXPECT_EQ(known(record, list, 100), range(0, 0));
  EXPECT_TRUE(record.row(list, 2).empty()) << "one row in four is remembered";
  EXPECT_TRUE(record.row(list, 7).empty()) << "of the sequence before";
}

}  // namespace
}  // namespace attnlab
