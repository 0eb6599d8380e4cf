#include "machine/data_limit.h"

#include <algorithm>

namespace attnlab {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kHasShadow = true;
#else
constexpr bool kHasShadow = false;
#endif

}  // namespace

DataLimit::DataLimit(std::uint64_t bytes) {
  if (kHasShadow || bytes == 0 || getrlimit(RLIMIT_DATA, &before_) != 0) return;
  const rlimit tight{std::min<rlim_t>(bytes, before_.rlim_max), before_.rlim_max};
  is_set_ = setrlimit(RLIMIT_DATA, &tight) == 0;
}

DataLimit::~DataLimit() {
  if (is_set_) (void)setrlimit(RLIMIT_DATA, &before_);
}

}  // namespace attnlab
