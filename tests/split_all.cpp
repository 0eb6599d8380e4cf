// Models of tests are small, and what little work they have would stay on one thread: here every loop is split, so that
// tests of several threads have several. The programs that tests start do as they do for a user.
#include "parallel/parallel.h"

namespace {

[[maybe_unused]] const bool splits = [] {
  attnlab::set_least_split(0);
  return true;
}();

}  // namespace
