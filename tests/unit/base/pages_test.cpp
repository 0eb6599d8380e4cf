// Memory of a room: who has it, and what a fork has of it.
#include "base/pages.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>

#include <gtest/gtest.h>

namespace attnlab {
namespace {

bool in_fork(const std::function<bool()>& what) {
  const pid_t pid = fork();
  if (pid == 0) _exit(what() ? 0 : 1);
  int status = 0;
  EXPECT_EQ(waitpid(pid, &status, 0), pid);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// Of the page that holds the first byte.
bool is_mapped(const Pages& pages) {
  const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  unsigned char is_resident = 0;
  return mincore(reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(pages.data()) / page * page), 1,
                 &is_resident) == 0;
}

TEST(PagesRoom, IsWhatForksHaveWhileItSaysSo) {
  PagesRoom room, other;
  const Pages part = room.take(100), large = room.take(std::size_t{70} << 20), others = other.take(100);
  std::memset(part.data(), 7, part.size());
  std::memset(large.data(), 8, large.size());
  const auto reads = [&] { return part.data()[99] == std::byte{7} && large.data()[large.size() - 1] == std::byte{8}; };
  EXPECT_TRUE(in_fork(reads));
  room.set_inherited(false);
  EXPECT_TRUE(in_fork([&] { return !is_mapped(part) && !is_mapped(large) && is_mapped(others); }));
  EXPECT_TRUE(reads());
  room.set_inherited(true);
  EXPECT_TRUE(in_fork(reads));
}

TEST(PagesRoom, PartsOutliveItAndHaveSeveralOwners) {
  std::optional<Pages> again;
  {
    PagesRoom room;
    const Pages part = room.take(64);
    part.data()[0] = std::byte{5};
    again = part.shared();
    EXPECT_EQ(again->data(), part.data());
    EXPECT_EQ(again->size(), part.size());
  }
  EXPECT_EQ(again->data()[0], std::byte{5});
}

}  // namespace
}  // namespace attnlab
