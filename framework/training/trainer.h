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

/// Where a training leaves what it makes. Folders of these files are made where they are missing.
struct TrainingFiles {
  std::filesystem::path curve;       // a row a step
  std::filesystem::path held_out;    // step,loss,accuracy: a row an evaluation; not there before the first
  std::filesystem::path state;       // while it runs
  std::filesystem::path checkpoint;  // a folder

  /// As `attnlab train` names them: training.csv, held-out.csv, state.safetensors, checkpoint/.
  [[nodiscard]] static TrainingFiles in(const std::filesystem::path& folder) {
    return {folder / "training.csv", folder / "held-out.csv", folder / "state.safetensors", folder / "checkpoint"};
  }
};

struct TrainingPlan {
  const TrainChoice& choice;
  const tasks::Task& task;
  std::uint64_t seed = 1;  // of batches
  TrainingFiles files;
  Belonging belongs_to;  // of kept states
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
  std::int64_t fed = 0;     // tokens
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

/// Whether the state and the curve that are kept in these files are whole, and belong to this.
[[nodiscard]] ATTNLAB_API bool can_resume(const TrainingFiles& files, const Belonging& belongs_to);

/// Runs a training from its start, or from the state that is kept in its file. Error where the plan does not fit the
/// model, and where a file cannot be written; the state that was kept last stays good. A training that diverges (a loss
/// that is no number, or one above the first for the last tenth of the steps, ten at least) ends there, without a
/// checkpoint.
ATTNLAB_API TrainingResult train(TrainedModel& model, const TrainingPlan& plan,
                                 const std::function<void(const TrainingProgress&)>& progress);

}  // namespace attnlab::training
