// The loop of a training: batches of a task, gradients, clipping, the optimiser's step; a row of the curve for each
// step, states from which it is resumed with the same bits, and the checkpoint at the end.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include <attnlab/api.h>

#include "tasks/task.h"
#include "training/kept_state.h"
#include "training/train_choice.h"
#include "training/trained_checkpoint.h"
#include "training/trained_model.h"

namespace attnlab::training {

struct TrainingPlan {
  const TrainChoice& choice;
  const tasks::Task& task;
  std::uint64_t seed = 1;        // of batches
  std::filesystem::path folder;  // training.csv, state.safetensors while it runs, checkpoint/
  Belonging belongs_to;          // of kept states
  CheckpointParts checkpoint;
  bool resumes = false;
};

enum class TrainingEnd : std::uint8_t { finished, stopped_early, diverged };

/// Of held-out data, in nats a prediction.
struct HeldOut {
  double loss = 0;
  double accuracy = 0;                       // share of predictions whose token had the largest logit
  std::optional<double> above_optimum = {};  // the loss above that of the best predictor
};

struct TrainingResult {
  TrainingEnd end = TrainingEnd::finished;
  std::int64_t steps = 0;
  std::int64_t tokens = 0;  // predicted
  double seconds = 0;       // of all runs of this training
  double loss = 0;          // of the last step, before its update
  double learning_rate = 0;
  std::optional<HeldOut> held_out = {};  // after the last step, where the plan evaluates
};

/// Where a training is, for those who wait.
struct TrainingProgress {
  std::int64_t step = 0;
  std::int64_t steps = 0;  // estimated where only the seconds are known
  double loss = 0;
  double seconds_left = 0;
};

/// Held-out loss over `batches` batches, the same for every training of the task.
[[nodiscard]] ATTNLAB_API HeldOut evaluate(TrainedModel& model, const tasks::Task& task, std::int64_t batch,
                                           std::int64_t batches);

/// Runs a training from its start, or from the state that is kept in its folder. Error where the plan does not fit the
/// model, and where a file cannot be written; the state that was kept last stays good. A training that diverges (a loss
/// that is no number, or one above the first for the last tenth of the steps) ends there, without a checkpoint.
ATTNLAB_API TrainingResult train(TrainedModel& model, const TrainingPlan& plan,
                                 const std::function<void(const TrainingProgress&)>& progress);

}  // namespace attnlab::training
