#include "parallel/joined_threads.h"

#include <atomic>
#include <chrono>
#include <filesystem>
#include <iterator>
#include <stdexcept>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace attnlab {
namespace {

std::ptrdiff_t threads_of_process() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/task"), {});
}

// One that was joined is listed for some microseconds more.
bool come_back_to(std::ptrdiff_t threads) {
  for (int waited_ms = 0; waited_ms < 5000 && threads_of_process() != threads; ++waited_ms)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return threads_of_process() == threads;
}

TEST(JoinedFor, DoesEachTaskOnceAndLeavesNoThread) {
  const std::ptrdiff_t before = threads_of_process();
  for (const int count : {0, 1, 2, 1000}) {
    std::vector<std::atomic<int>> done(static_cast<std::size_t>(count));
    joined_for(count, [&](int index) { ++done[static_cast<std::size_t>(index)]; });
    for (const std::atomic<int>& times : done) EXPECT_EQ(times, 1);
    EXPECT_TRUE(come_back_to(before));
  }
}

TEST(JoinedFor, ThrowsWhatATaskThrewOnceAllThreadsHaveEnded) {
  const std::ptrdiff_t before = threads_of_process();
  std::atomic<int> done = 0;
  EXPECT_THROW(joined_for(1000,
                          [&](int index) {
                            if (index == 3) throw std::out_of_range("three");
                            std::this_thread::sleep_for(std::chrono::milliseconds(1));  // the other threads are slower
                            ++done;
                          }),
               std::out_of_range);
  EXPECT_TRUE(come_back_to(before));
  EXPECT_LT(done, 999) << "what was not begun should have been left out";
}

}  // namespace
}  // namespace attnlab
