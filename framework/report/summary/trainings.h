// The trainings of a study as far as they have come: their curves, thinned for charts, what was kept of a search for
// the learning rate, and how each ended. Arms that differ in their caches only share one training.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <attnlab/api.h>

#include "report/read/study_layout.h"
#include "report/read/training_record.h"

namespace attnlab::report {

/// At most about so many points of a curve are shown.
inline constexpr std::int64_t kMostCurvePoints = 300;

struct HeldOutPoint {
  std::int64_t step = 0;
  double loss = 0;      // nats a prediction
  double accuracy = 0;  // NaN where the task has none

  friend bool operator==(const HeldOutPoint&, const HeldOutPoint&) = default;
};

struct Training {
  TrainingLayout layout;
  std::optional<TrainingRecord> record;  // once it has ended
  std::vector<CurvePoint> curve;         // thinned(): means of steps_a_point steps
  std::vector<HeldOutPoint> held_out;    // as they are
  std::int64_t steps = 0;                // that have been taken
  double seconds = 0;                    // that they took
  bool is_kept = false;                  // the arms keep it: theirs is the rate of a search that came out best

  /// "ok", "diverged", "failed", "timed_out"; of one that has not ended "running" or "waiting".
  [[nodiscard]] ATTNLAB_API std::string status() const;
  [[nodiscard]] bool has_ended() const { return record.has_value(); }
};

struct Trainings {
  std::vector<Training> all;       // in the order of the study
  std::int64_t steps_a_point = 1;  // of every curve, so that seeds can be laid over each other
};

/// Means of the losses of steps 1 to `steps_a_point`, of the next as many, and so on; the step of a point is the middle
/// one of those that are there. The last point may be of fewer steps. A loss that is no number makes its point none.
[[nodiscard]] ATTNLAB_API std::vector<CurvePoint> thinned(const std::vector<CurvePoint>& curve,
                                                          std::int64_t steps_a_point);

/// Reads training/ of a results folder, under way or not. `layout` says what is planned, `trials` which were kept.
[[nodiscard]] ATTNLAB_API Trainings read_trainings(const std::filesystem::path& results, const StudyLayout& layout,
                                                   const std::vector<TrialResult>& trials);

/// Trainings of the same arms and learning rate, one a seed.
struct TrainingGroup {
  std::vector<std::string> arms;
  double learning_rate = 0;
  bool is_searched = false, is_kept = false;
  std::vector<const Training*> seeds;
};

/// In the order of the study; pointers into `trainings`.
[[nodiscard]] ATTNLAB_API std::vector<TrainingGroup> training_groups(const Trainings& trainings);
/// Those that a chart of arms shows: the ones that are kept; all of arms of which none is kept yet.
[[nodiscard]] ATTNLAB_API std::vector<TrainingGroup> shown_groups(const Trainings& trainings);

/// The median over seeds, as far as every seed of the group has a curve; nothing for one seed alone.
[[nodiscard]] ATTNLAB_API std::vector<CurvePoint> median_curve(const TrainingGroup& group);

/// One learning rate of a search, over its seeds.
struct TriedRate {
  double learning_rate = 0;
  std::optional<double> validation_loss;                    // mean over the seeds that ended well
  int seeds = 0, ended_well = 0, diverged = 0, failed = 0;  // failed: in any other way
  bool is_kept = false;
};

struct RateSearch {
  std::vector<std::string> arms;
  std::vector<TriedRate> rates;  // by rate
};

/// Nothing for arms whose rate was given.
[[nodiscard]] ATTNLAB_API std::vector<RateSearch> rate_searches(const Trainings& trainings);

}  // namespace attnlab::report
