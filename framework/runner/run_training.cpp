#include "runner/run_training.h"

#include <cmath>
#include <memory>
#include <numbers>
#include <string>
#include <system_error>

#include <fmt/format.h>

#include "report/read/metrics.h"
#include "report/read/training_record.h"
#include "tasks/read_task.h"
#include "training/arm_training.h"

namespace attnlab::experiment {
namespace {

namespace fs = std::filesystem;

void add_held_out(Measured& measured, const training::HeldOut& held, const tasks::TaskFacts& facts) {
  const auto add = [&](std::string_view metric, std::string_view unit, std::string_view better, double value) {
    measured.add(std::string(metric), std::string(unit), std::string(better), value, /*deterministic=*/true);
  };
  add(report::kValidationLoss, "nats", "lower", held.loss);
  if (facts.bytes_per_token)
    add(report::kBitsPerByte, "bits", "lower", held.loss / std::numbers::ln2 / *facts.bytes_per_token);
  if (facts.has_answers) add(report::kAccuracy, "", "higher", held.accuracy);
  if (held.above_optimum) add(report::kAboveOptimum, "nats", "lower", *held.above_optimum);
}

}  // namespace

Measured run_training(const Plan& plan, const PlannedTraining& training, const fs::path& results) {
  const TrainingGroup& group = plan.groups[training.group];
  const PlannedArm& arm = plan.arms[group.arms.front()];
  const training::TrainChoice choice = arm.trained->with_rate(training.rate);
  const std::unique_ptr<const tasks::Task> task = tasks::read_task(choice.task);
  training::ArmTraining run({.arm = arm.arm,
                             .source = *arm.source,
                             .registry = *plan.registry,
                             .choice = choice,
                             .task = *task,
                             .seed = static_cast<std::uint64_t>(training.seed),
                             .allow_nonfinite = plan.allow_nonfinite});
  const training::TrainingFiles files{.curve = report::curve_file(results, training.id),
                                      .held_out = report::held_out_file(results, training.id),
                                      .state = results / "training" / (training.id + ".state.safetensors"),
                                      .checkpoint = report::weights_folder(results, training.id)};
  std::error_code none;
  Measured measured;
  // The id is a hash of all that the state depends on.
  const training::Belonging belongs_to{{"the training", training.id}};
  const bool resumes = fs::exists(files.state, none);
  if (resumes && !training::can_resume(files, belongs_to)) {
    fs::remove(files.state, none);
    measured.details["notes"].push_back("the state that was kept of its training was damaged: it began anew");
  }
  const training::TrainingResult result =
      run.run(files, belongs_to, /*resumes=*/fs::exists(files.state, none), [](const auto&) {});
  const double rate = training.rate;
  if (result.end == training::TrainingEnd::diverged) {
    fs::remove(files.state, none);
    measured.details["diverged"] =
        fmt::format("the training diverged by step {} with a loss of {}; its learning rate was {}", result.steps,
                    result.loss, rate);
    return measured;
  }
  const auto add = [&](std::string_view metric, std::string_view unit, std::string_view better, double value) {
    measured.add(std::string(metric), std::string(unit), std::string(better), value);
  };
  measured.add(std::string(report::kTrainLoss), "nats", "lower", result.loss, /*deterministic=*/true);
  if (result.held_out) add_held_out(measured, *result.held_out, task->facts());
  add(report::kLearningRate, "", "none", rate);
  add(report::kTrainSteps, "", "none", static_cast<double>(result.steps));
  add(report::kTrainSeconds, "s", "lower", result.seconds);
  if (result.seconds > 0) {
    add(report::kTrainTokensPerSecond, "tokens/s", "higher", static_cast<double>(result.fed) / result.seconds);
    // What is computed again in the backward pass is no work.
    add(report::kOperationsPerSecond, "FLOP/s", "higher",
        2 * step_multiply_adds(arm) * static_cast<double>(result.steps) / result.seconds);
  }
  if (const Arithmetic precision = arm.trained->choice.precision; precision != Arithmetic::f32)
    measured.details["compute"] = arithmetic_name(precision);
  measured.details["training"] = {{"id", training.id},
                                  {"learning_rate", rate},
                                  {"parameters", group.parameters},
                                  {"stopped_early", result.end == training::TrainingEnd::stopped_early}};
  return measured;
}

}  // namespace attnlab::experiment
