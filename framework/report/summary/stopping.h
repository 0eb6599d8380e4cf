// When adaptive repeats may stop: every interval that a reader of a speed study looks at is narrow enough.
// Looked at are prefill and decode throughput of the arms that run: for the baseline the interval of the median, for
// the others the simultaneous interval of the ratio.
#pragma once

#include <string>

#include <attnlab/api.h>

#include "report/summary/summary.h"

namespace attnlab::report {

/// True where half of every such interval is at most `until` of its median (0.02 for 2 %); true where there is none to
/// look at, false where one is still missing for want of rounds.
[[nodiscard]] ATTNLAB_API bool is_narrow_enough(const Summary& summary, double until);

/// "the widest interval is ± 3.1 %: decode tokens/s of gqa/full in speed q512"; empty where there is none to look at.
[[nodiscard]] ATTNLAB_API std::string widest_interval(const Summary& summary);

}  // namespace attnlab::report
