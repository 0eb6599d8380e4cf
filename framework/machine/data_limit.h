// A bound of the memory that this process may take.
#pragma once

#include <sys/resource.h>

#include <cstdint>

#include <attnlab/api.h>

namespace attnlab {

/// While it lives the process can have no more private memory than the limit, so that what needs more fails where it
/// asks, and can still say so. Files that are mapped do not count. Nothing is bounded with 0 bytes, nor in a build with
/// a sanitizer, whose shadow of the memory is private memory too.
class ATTNLAB_API DataLimit {
 public:
  explicit DataLimit(std::uint64_t bytes);
  ~DataLimit();
  DataLimit(const DataLimit&) = delete;
  DataLimit& operator=(const DataLimit&) = delete;

 private:
  rlimit before_{};
  bool is_set_ = false;
};

}  // namespace attnlab
