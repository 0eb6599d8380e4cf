// A training of an arm, from a model and its components to a checkpoint: `attnlab train` and the trainings of a study
// are the same from here on. Not here: where trainings come from (train_file, framework/study), and the loop (trainer).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include <nlohmann/json.hpp>

#include <attnlab/api.h>

#include "assembly/arm_model.h"
#include "model/decoder.h"
#include "tasks/task.h"
#include "training/train_choice.h"
#include "training/trained_model.h"
#include "training/trainer.h"

namespace attnlab::training {

struct ArmTrainingInput {
  const experiment::Arm& arm;  // its caches have no part in it: rows are held as they are, and none is dropped
  const experiment::ModelSource& source;
  const Registry& registry;
  const TrainChoice& choice;
  const tasks::Task& task;
  std::uint64_t seed = 1;  // of weights and batches
  bool allow_nonfinite = false;
};

/// The arm as it is trained: with the plain cache in every layer.
[[nodiscard]] ATTNLAB_API experiment::Arm without_cache(const experiment::Arm& arm, const Registry& registry);

/// A task with everything that it was read from: its settings, and the bytes of its files. As a digest.
[[nodiscard]] ATTNLAB_API std::string digest_of(const tasks::Task& task);

class ATTNLAB_API ArmTraining {
 public:
  /// Makes the model with its masters. What `input` refers to outlives this. Error where attention, positions, task and
  /// model do not fit, and where layers have different numbers of kv heads, which no checkpoint can say.
  explicit ArmTraining(const ArmTrainingInput& input);

  [[nodiscard]] const experiment::ResolvedArm& arm() const noexcept { return arm_; }
  [[nodiscard]] model::Decoder& decoder() noexcept { return decoder_; }
  [[nodiscard]] TrainedModel& model() noexcept { return model_; }
  /// Numbers that are trained.
  [[nodiscard]] std::int64_t parameters();
  /// The backward pass of a few tokens. Error where a component has no derivative, naming it.
  void check_derivatives();
  /// That a training on sequences of this length takes, once derivatives are checked; an estimate.
  [[nodiscard]] double bytes(std::int64_t length) const;

  /// A digest of the weights as they are and of the configuration that is written.
  [[nodiscard]] std::string start_digest();
  /// Of the start, with what the choices changed of it.
  [[nodiscard]] CheckpointParts checkpoint();
  TrainingResult run(const TrainingFiles& files, const Belonging& belongs_to, bool resumes,
                     const std::function<void(const TrainingProgress&)>& progress);

 private:
  ArmTrainingInput input_;
  experiment::ResolvedArm arm_;
  model::Decoder decoder_;
  TrainedModel model_;
};

}  // namespace attnlab::training
