#include "parallel/joined_threads.h"

#include <atomic>
#include <filesystem>
#include <iterator>
#include <stdexcept>
#include <vector>

#include <gtest/gtest.h>

namespace attnlab {
namespace {

std::ptrdiff_t threads_of_process() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/task"), {});
}

TEST(JoinedFor, DoesEachTaskOnceAndLeavesNoThread) {
  const std::ptrdiff_t before = threads_of_process();
  for (const int count : {0, 1, 2, 1000}) {
    std::vector<std::atomic<int>> done(static_cast<std::size_t>(count));
    joined_for(count, [&](int index) { ++done[static_cast<std::size_t>(index)]; });
    for (const std::atomic<int>& times : done) EXPECT_EQ(times, 1);
    EXPECT_EQ(threads_of_process(), before);
  }
}

TEST(JoinedFor, ThrowsWhatATaskThrewOnceAllThreadsHaveEnded) {
  const std::ptrdiff_t before = threads_of_process();
  std::atomic<int> done = 0;
  EXPECT_THROW(joined_for(100000,
                          [&](int index) {
                            if (index == 3) throw std::out_of_range("three");
                            ++done;
                          }),
               std::out_of_range);
  EXPECT_EQ(threads_of_process(), before);
  EXPECT_LT(done, 100000 - 1);
}

}  // namespace
}  // namespace attnlab
