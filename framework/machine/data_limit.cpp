#include "machine/data_limit.h"

#include <algorithm>

#include "base/sanitizers.h"

namespace attnlab {

DataLimit::DataLimit(std::uint64_t bytes) {
  if (kHasShadow || bytes == 0 || getrlimit(RLIMIT_DATA, &before_) != 0) return;
  const rlimit tight{std::min<rlim_t>(bytes, before_.rlim_max), before_.rlim_max};
  is_set_ = setrlimit(RLIMIT_DATA, &tight) == 0;
}

DataLimit::~DataLimit() {
  if (is_set_) (void)setrlimit(RLIMIT_DATA, &before_);
}

}  // namespace attnlab
