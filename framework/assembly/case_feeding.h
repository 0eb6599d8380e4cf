// How a case feeds its sequences: their lengths, as the plan needs them and as the check of an arm repeats them. Not
// here: the feeding itself (feeding.h), and what is measured of it (the workloads).
#pragma once

#include <vector>

namespace attnlab::experiment {

/// One session: rows that are put into the caches, a prompt after them, then tokens one at a time.
struct CaseFeeding {
  std::vector<int> capacities;  // [sequences] tokens that each may reach, of which shares are taken
  std::vector<int> filled;      // [sequences] rows that stand before anything is fed, a prompt that ended
  std::vector<int> prompts;     // [sequences] tokens fed as a prompt, one after others as a decode step; 0: none
  bool decodes = false;         // tokens follow one at a time
};

/// One sequence that is empty: a prompt, and tokens up to `length` after it.
[[nodiscard]] inline CaseFeeding one_sequence(int prompt, int length) {
  return {.capacities = {length}, .filled = {0}, .prompts = {prompt}, .decodes = prompt < length};
}

}  // namespace attnlab::experiment
