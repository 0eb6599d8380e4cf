#include "ops/rounded_rows.h"

#include <algorithm>

#include "base/at_least.h"
#include "ops/vector_kernels.h"
#include "parallel/parallel.h"

namespace attnlab {

const std::uint16_t* rounded_rows(const float* from, std::int64_t stride, std::int64_t rows, std::int64_t columns,
                                  std::vector<std::uint16_t>& room) {
  if (rows * columns > kMostRounded) return nullptr;
  std::uint16_t* const to = at_least(room, rows * columns);
  constexpr std::int64_t rows_of_task = 64;
  const Work work = Work::numbers(static_cast<double>(rows * columns));
  parallel_for(static_cast<int>((rows + rows_of_task - 1) / rows_of_task), work, [&](int task, WorkerSlot) {
    for (std::int64_t row = task * rows_of_task; row < std::min(rows, (task + 1) * rows_of_task); ++row)
      vec::narrow_to_bf16({from + row * stride, static_cast<std::size_t>(columns)}, to + row * columns);
  });
  return to;
}

}  // namespace attnlab
