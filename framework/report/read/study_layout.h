// What was planned, as far as a report must know it: the question, and the order of arms and cases. Stored under the
// key "study" of environment.json, so that reports need nothing but the results folder (plan.yaml is for people).
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <attnlab/api.h>
#include <nlohmann/json.hpp>

#include "report/read/metrics.h"
#include "report/read/study_inputs.h"
#include "report/read/training_record.h"
#include "report/read/trial_result.h"

namespace attnlab::report {

struct ArmLayout {
  std::string name;
  std::string attention, position, cache;  // as the summary shows them
  std::vector<std::string> notes;          // sentences that hold for all its trials: "converted: 12 kv heads to 4"
  std::string refused;                     // why it was not run; empty where it was
  std::vector<std::string> tags;
  /// Numeric options that are the same in every layer ("attention.kv_heads", "cache.window": kind.option), and
  /// "kv_heads" as the model has them in the end: what a chart can put on an axis.
  std::map<std::string, double> numbers;
  /// Equal in arms that differ in their caches alone; empty: not known.
  std::string but_for_cache = {};
  nlohmann::ordered_json resolved;  // {"attention": {...}, "position": ..., "cache": ...}, defaults included; or null

  friend bool operator==(const ArmLayout&, const ArmLayout&) = default;
};

struct CaseLayout {
  std::string workload;
  std::string case_name;  // "case" in the files
  /// "context", "new_tokens", "sequences", "prefill", "length", "pairs", where the workload has them.
  std::map<std::string, double> numbers = {};
  /// What it is measured on, which the names do not tell: "text" (a path), "text_sha256" and "text_bytes";
  /// "prompt_sha256"; "examples", "vocab", "seed" ...; "kind": of what else than its numbers a line of a chart is. Two
  /// studies with other data measured something else.
  std::map<std::string, std::string> data = {};

  /// The numbers follow from the names; cases of one study differ in their names.
  friend bool operator==(const CaseLayout& one, const CaseLayout& other) {
    return one.workload == other.workload && one.case_name == other.case_name;
  }
};

struct StudyLayout {
  std::string name;
  std::string question;
  ModelIdentity model;
  std::vector<ArmLayout> arms;            // in the order of the YAML
  std::vector<CaseLayout> cases;          // workload by workload, in the order of the YAML
  std::string baseline;                   // an arm's name; empty for the first that was not refused
  std::vector<std::string> compare_with;  // arms that all others are compared with too
  /// The arm whose predictions KL, same_top_token and same_bits are measured against: the study's own baseline,
  /// whichever arm a report is asked to compare with. Not stored; completed() fills it in.
  std::string measured_against;
  int rounds = 0;  // planned, or run, where the number was left to the samples; deterministic workloads
                   // run once all the same
  std::vector<std::int64_t> seeds;
  int least_rounds = 0, most_rounds = 0;  // adaptive repeats: at least, at most so many rounds,
  double until = 0;                       // and until every interval of interest is so narrow (a share); 0: fixed
  std::string stopped;                    // a sentence: on what the rounds ended; empty where they were fixed
  std::vector<std::string> warnings;
  std::vector<TrainingLayout> trainings = {};  // seed by seed, in the order in which they run
  std::vector<std::string> trials;  // ids of all that was planned; other files in trials/ are of an earlier plan and do
                                    // not count. Empty: every file counts

  /// Whether its weights are trained before they are measured.
  [[nodiscard]] bool trains() const {
    return !trainings.empty() || std::ranges::find(cases, kTrain, &CaseLayout::workload) != cases.end();
  }

  /// Whether a trial of the arm in the case is to come: an arm that is measured as it is has no training.
  [[nodiscard]] bool expects(const ArmLayout& arm, const CaseLayout& entry) const {
    return entry.workload != kTrain || trainings.empty() ||
           std::ranges::any_of(trainings, [&](const TrainingLayout& training) {
             return std::ranges::find(training.arms, arm.name) != training.arms.end();
           });
  }

  friend bool operator==(const StudyLayout&, const StudyLayout&) = default;
};

ATTNLAB_API void to_json(nlohmann::json& json, const StudyLayout& layout);
/// Throws nlohmann::json::exception. Unknown keys are left alone, so that a newer writer's files stay readable.
ATTNLAB_API void from_json(const nlohmann::json& json, StudyLayout& layout);

/// The layout with its baseline filled in, without names of further arms that it does not have, and with the arms and
/// cases of trials that it does not name at the end.
[[nodiscard]] ATTNLAB_API StudyLayout completed(StudyLayout layout, const std::vector<TrialResult>& trials);

}  // namespace attnlab::report
