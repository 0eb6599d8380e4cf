// A side of bf16 products, rounded once for all the tasks of a product. Not public.
#pragma once

#include <cstdint>
#include <vector>

namespace attnlab {

/// What has more elements than this (64 MiB as bf16) is rounded by every task for itself.
inline constexpr std::int64_t kMostRounded = std::int64_t{32} << 20;

/// Rows of floats, rounded side by side by all threads. They lie in `room`, which grows and stays. Null where they are
/// more than kMostRounded.
[[nodiscard]] const std::uint16_t* rounded_rows(const float* from, std::int64_t stride, std::int64_t rows,
                                                std::int64_t columns, std::vector<std::uint16_t>& room);

}  // namespace attnlab
