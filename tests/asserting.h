// A test that asserts nothing proves nothing, so it fails: every assertion of GoogleTest counts itself, and
// asserting.cpp looks at the count when a test ends. Part of the precompiled header of the tests, so that no file can
// be without it.
#pragma once

#include <gtest/gtest.h>

namespace attnlab::test {

/// Counts one assertion, on any thread. Returns 0.
int count_assertion() noexcept;

}  // namespace attnlab::test

// The one macro that every assertion of GoogleTest begins with, in a form that counts.
#undef GTEST_AMBIGUOUS_ELSE_BLOCKER_
#define GTEST_AMBIGUOUS_ELSE_BLOCKER_         \
  switch (::attnlab::test::count_assertion()) \
  case 0:                                     \
  default:
#define ATTNLAB_COUNTS_ASSERTIONS
