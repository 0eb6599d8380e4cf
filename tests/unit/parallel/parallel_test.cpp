#include "parallel/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

#include <attnlab/ops.h>

#include "parallel/keep_threads.h"

namespace attnlab {
namespace {

constexpr double kLeast = 4000;

class LittleWork : public testing::Test {
 protected:
  LittleWork() {
    set_threads(2);
    set_least_split(kLeast);
  }

 private:
  KeepThreads keep_;
};

std::atomic<int> met = 0;

// Two tasks that wait for each other, so both have a thread.
constexpr auto meet = [](int, WorkerSlot) {
  static std::mutex mutex;
  static std::condition_variable changed;
  static int there = 0;
  std::unique_lock lock(mutex);
  ++there;
  ++met;
  changed.notify_all();
  changed.wait(lock, [] { return there % 2 == 0; });
};

TEST_F(LittleWork, StaysOnTheCallingThreadInOrder) {
  std::vector<int> order;
  const auto caller = std::this_thread::get_id();
  parallel_for(5, Work{kLeast - 1}, [&](int index, WorkerSlot slot) {
    EXPECT_EQ(std::this_thread::get_id(), caller);
    EXPECT_EQ(slot, 0);
    order.push_back(index);
  });
  EXPECT_EQ(order, (std::vector{0, 1, 2, 3, 4}));
}

TEST_F(LittleWork, IsSplitFromTheLimitOn) {
  met = 0;
  parallel_for(2, Work{kLeast}, meet);  // returns: the tasks had a thread each
  parallel_for(2, kLongWork, meet);
  set_least_split(0);
  parallel_for(2, Work{0}, meet);
  EXPECT_EQ(met, 6);
}

TEST_F(LittleWork, OfAPluginIsWhatItSays) {
  const auto caller = std::this_thread::get_id();
  int calls = 0;
  for_each_index(3, 1000.0, [&](int) {
    EXPECT_EQ(std::this_thread::get_id(), caller);
    ++calls;
  });
  EXPECT_EQ(calls, 3);
  met = 0;
  for_each_index(2, 1e9, [](int index) { meet(index, 0); });
  for_each_index(2, [](int index) { meet(index, 0); });
  EXPECT_EQ(met, 4);
}

TEST_F(LittleWork, ThrowsAsOtherWorkDoes) {
  for (const Work work : {Work{0}, kLongWork})
    EXPECT_THROW(parallel_for(4, work,
                              [](int index, WorkerSlot) {
                                if (index == 2) throw std::runtime_error("two");
                              }),
                 std::runtime_error);
}

TEST_F(LittleWork, LimitIsPutBack) {
  {
    const KeepThreads keep;
    set_threads(3);
    set_least_split(7);
  }
  EXPECT_EQ(threads(), 2);
  EXPECT_EQ(least_split(), kLeast);
}

}  // namespace
}  // namespace attnlab
