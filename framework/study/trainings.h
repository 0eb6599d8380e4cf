// The trainings of a study: which arms are trained how, and which of them share one. Everything that can be wrong with
// them is found here, before the first runs: tasks are read, and an example goes through every model and back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include <attnlab/api.h>
#include <attnlab/error.h>

#include "config/node.h"
#include "machine/roof.h"
#include "model/config/model_config.h"
#include "tasks/task.h"
#include "training/train_choice.h"

namespace attnlab::experiment {

struct Plan;
struct PlannedArm;

/// How large an example is.
struct DrawnExample {
  double tokens = 0;
  double predicted = 0;
};

/// `train:` of one or more arms, with its task.
struct TrainedAs {
  training::TrainChoice choice;  // looks at held-out data after the last step at least, where there are some
  tasks::TaskFacts facts;        // of its task, which is read again where it trains: its data are no part of a trial
  int length = 0;                // of the task's examples
  std::string task_digest;
  std::vector<DrawnExample> drawn;    // some of them: examples of a mixture differ
  double predicted = 0;               // targets of a step, by the first one's
  std::optional<std::int64_t> steps;  // none: the seconds end the run

  /// The rates that are tried; one where there is no search.
  [[nodiscard]] std::vector<double> rates() const;
  /// The choice with this rate and no search.
  [[nodiscard]] training::TrainChoice with_rate(double rate) const;
};

/// Arms with the same attention, position, model and training: they differ in their caches, which have no part in it.
struct TrainingGroup {
  std::vector<std::size_t> arms;       // indices into the plan's, ascending
  std::vector<std::size_t> trainings;  // indices into the plan's: every seed with every rate
  std::int64_t parameters = 0;
};

/// One run of the loop: a trial of its own.
struct PlannedTraining {
  std::string id;  // a hash of all that its bits depend on
  std::size_t group = 0;
  std::int64_t seed = 0;
  double rate = 0;
};

/// Keys of a model that an arm has otherwise.
[[nodiscard]] std::vector<model::ConfigEntry> model_entries(const config::Node& changed);

/// Reads `train:` of every arm, once for those that are alike; null pointers for arms that are not trained. Error with
/// all problems.
[[nodiscard]] std::vector<std::shared_ptr<const TrainedAs>> read_trainings(const Plan& plan);

/// What a try of an arm's training found, in a process of its own: a plugin may crash.
struct TrainingTrial {
  std::int64_t parameters = 0;
  double bytes = 0;              // of memory; an estimate
  std::vector<Problem> refused;  // why it cannot be trained: no derivative, a task that does not fit
  std::string failed;            // it crashed, or did not come to its end
};
/// To be called while no threads run.
[[nodiscard]] TrainingTrial try_training(const Plan& plan, const PlannedArm& arm);

/// What of an arm its training depends on, but for files and seed: the same in arms that differ in their caches only.
[[nodiscard]] std::string training_key(const PlannedArm& arm);

/// Groups and trainings of the arms that run, without ids: those come with the plan's identity.
void plan_trainings(Plan& plan);

/// Seconds of one training of the arm: of its own, where they are its length, else by the operations of its steps.
[[nodiscard]] double training_seconds(const PlannedArm& arm, const RoofProbe& roof);

/// Multiply-adds of one step, forward and backward; what is computed again in the backward pass is not counted.
[[nodiscard]] ATTNLAB_API double step_multiply_adds(const PlannedArm& arm);

/// As plan.yaml has it: the choice, and the task with all defaults.
[[nodiscard]] nlohmann::ordered_json describe(const TrainedAs& trained);

}  // namespace attnlab::experiment
