// How a case feeds its sequences: what the plan must know of their lengths, and what the check of an arm does over
// again. Not here: the feeding itself (feeding.h), and what is measured of it (measure_*.cpp).
#pragma once

#include <cstdint>
#include <vector>

#include <attnlab/api.h>

#include "experiment/spec_workloads.h"

namespace attnlab::experiment {

/// One session: rows that are put into the caches, a prompt after them, then tokens one at a time.
struct CaseFeeding {
  std::vector<int> capacities;  // [sequences] tokens that each may reach, of which shares are taken
  std::vector<int> filled;      // [sequences] rows that stand before anything is fed, a prompt that ended
  std::vector<int> prompts;     // [sequences] tokens fed as a prompt, one after others as a decode step; 0: none
  bool decodes = false;         // tokens follow one at a time
};

/// In the order in which the case runs them; none without sequences. `prompt_tokens`: of the prompt of generate, as the
/// plan has counted them.
[[nodiscard]] ATTNLAB_API std::vector<CaseFeeding> feedings_of(const Workload& workload, std::size_t index,
                                                               std::int64_t prompt_tokens);

}  // namespace attnlab::experiment
