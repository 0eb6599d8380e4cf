// The references of the laws of storages: rows as they are given, as they are held, and as a codec alone reads them.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "conformance/subject.h"

namespace attnlab::experiment::conformance {

inline constexpr int kGivenRows = 300;  // several tiles, the last in part
inline constexpr int kGivenMarks = 2;
inline constexpr KvShape kGivenShape{.kv_heads = 2, .key_dim = 64, .value_dim = 32, .marks = kGivenMarks};
inline constexpr KvShape kPrefixShape{.kv_heads = 1, .key_dim = 64, .value_dim = 32, .value_is_key_prefix = true};

/// Rows as they are given.
struct Given {
  KvShape shape;
  std::vector<float> keys, values, marks;  // [rows, kv_heads, width]
  std::vector<Position> positions;

  [[nodiscard]] std::span<const float> row(RowSide side, int head, int row) const;
};

/// From a seed, with rows that codes have an edge at; at least 10.
[[nodiscard]] Given given_rows(const KvShape& shape, int rows, std::uint64_t seed);
void append(KvRows& rows, int sequence, const Given& given, int first, int count);

/// All that a list holds, row by row. Equal: to the bit.
struct HeldList {
  std::vector<float> keys, values, marks;
  std::vector<Position> positions;
  [[nodiscard]] bool operator==(const HeldList& other) const;
};

/// Read in pieces of so many rows; 0: all at once.
[[nodiscard]] HeldList held_rows(const KvRows& rows, const KvShape& shape, int sequence, int head, int piece = 0);

/// How far each row of a head may be from what was given.
[[nodiscard]] std::vector<float> allowed_errors(const RowStorage& storage, RowSide side, const Given& given, int head,
                                                int rows);

/// What is wrong with a codec that is asked for the same rows in several ways; empty: nothing.
[[nodiscard]] std::string cut_fault(const SideCodec& codec, const Given& given, RowSide side, int width);

}  // namespace attnlab::experiment::conformance
