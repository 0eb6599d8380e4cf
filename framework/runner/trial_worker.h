// The code inside a trial's process: it holds one arm's model with one seed and measures what it is asked for. It
// communicates with its parent over a socket (see trial_process) and writes no results itself.
#pragma once

#include <cstdint>
#include <filesystem>

#include "report/read/trial_result.h"
#include "study/plan.h"
#include "workloads/quality_baseline.h"

namespace attnlab::experiment {

struct TrialRequest {
  enum class What : std::int32_t { prepare, check, measure, train };

  What what = What::prepare;  // prepare: the model is made; check: its output is compared with the reference
  std::uint64_t planned_case = 0;
  std::int64_t round = 0;
  std::uint64_t training = 0;  // of train: index into the plan's
  std::int32_t in_turns = 0;   // of measure: 1 where what is timed takes turns with other arms (turn_messages.h)
};

/// What a trial's process holds from its start.
struct TrialStart {
  std::size_t arm = 0;
  std::int64_t seed = 0;
  std::filesystem::path trials_folder;  // in the results folder
  std::filesystem::path weights = {};   // the checkpoint that the arm was trained to; empty: the model's own weights
  model::SharedParts shared = {};       // of the model's own, that this process was forked with
};

/// Answers requests until the socket ends: each with the length of a text (64 bits) and the text, a TrialResult as
/// JSON.
void serve_trials(int socket, const Plan& plan, const TrialStart& start);

/// A result without figures: which arm is measured in which round.
[[nodiscard]] report::TrialResult trial_frame(const Plan& plan, std::size_t arm, std::size_t planned_case,
                                              std::int64_t seed, int round);

/// Where the predictions are that a perplexity trial is compared with, or keeps for the others.
[[nodiscard]] BaselineFile baseline_file(const Plan& plan, std::size_t arm, std::size_t planned_case, std::int64_t seed,
                                         const std::filesystem::path& trials_folder);

/// False at the end of the stream.
[[nodiscard]] bool read_all(int socket, void* to, std::size_t count);
[[nodiscard]] bool write_all(int socket, const void* from, std::size_t count);

}  // namespace attnlab::experiment
