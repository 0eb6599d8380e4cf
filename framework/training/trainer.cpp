#include "training/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include <attnlab/error.h>
#include <attnlab/random.h>

#include "tasks/example_order.h"
#include "training/clipping.h"
#include "training/optimiser.h"
#include "training/schedule.h"
#include "training/training_csv.h"

namespace attnlab::training {
namespace {

// A state is kept each second, or more seldom where it takes long to write: 5 % of the time at most.
constexpr double kSecondsBetweenStates = 1;
constexpr double kTimesOfWriting = 20;
constexpr std::int64_t kManySteps = 1'000'000'000;
constexpr std::int64_t kLeastStepsAbove = 10;  // fewer may be the noise of batches

using Clock = std::chrono::steady_clock;

// The sequences of a batch, and what is predicted in them.
struct Batch {
  std::vector<tasks::Example> examples;
  std::vector<TrainingSequence> sequences;
  std::int64_t predicted = 0;
  std::int64_t tokens = 0;
  double weights = 0;  // of what is predicted
  double optimum = 0;  // summed, where it is known

  void draw(const tasks::Task& task, std::uint64_t seed, tasks::Split split, std::int64_t first, std::int64_t count) {
    examples.resize(static_cast<std::size_t>(count));
    sequences.clear();
    predicted = tokens = 0;
    weights = optimum = 0;
    for (std::int64_t i = 0; i < count; ++i) {
      tasks::Example& example = examples[i];
      example.clear();
      task.example(seed, split, tasks::example_index(task, seed, split, first + i), example);
      sequences.push_back({example.input, example.targets, example.weight});
      tokens += std::ssize(example.input);
      const std::int64_t asked = std::ssize(example.targets) - std::ranges::count(example.targets, kNoTarget);
      predicted += asked;
      weights += example.weight * static_cast<double>(asked);
      for (const double nats : example.optimum) optimum += example.weight * nats;
    }
  }
};

class Loop {
 public:
  Loop(TrainedModel& model, const TrainingPlan& plan)
      : model_(model), plan_(plan), choice_(plan.choice), tensors_(tensors_of(model)) {
    optimiser_ = make_optimiser(choice_.optimiser, tensors_);
    clipping_.emplace(choice_.clip, tensors_);
    batch_.draw(plan.task, plan.seed, tasks::Split::train, 0, choice_.batch);
    steps_ = steps_of(choice_, static_cast<double>(batch_.predicted), plan.task.examples(tasks::Split::train));
    plan_seconds_ = choice_.length.unit == LengthUnit::seconds ? choice_.length.count : 0;
    plan_tokens_ = choice_.length.unit == LengthUnit::tokens ? choice_.length.count : 0;
  }

  TrainingResult run(const std::function<void(const TrainingProgress&)>& progress) {
    for (const std::filesystem::path& file : {plan_.files.curve, plan_.files.state, plan_.files.checkpoint}) {
      // One level: a results folder that was removed under way is not made again.
      std::error_code fault;
      std::filesystem::create_directory(file.parent_path(), fault);
      if (fault) throw Error(file.parent_path().string(), "the folder cannot be made: " + fault.message());
    }
    if (plan_.resumes)
      csv_.emplace(restore());
    else
      begin_files();
    began_ = kept_ = Clock::now();
    Clock::time_point told = began_;
    while (result_.end == TrainingEnd::finished && !is_over()) {
      make_step();
      result_.seconds = seconds();
      if (result_.end == TrainingEnd::diverged) return result_;
      const Clock::time_point now = Clock::now();
      // The end of a training is no state to go on from.
      if (result_.end == TrainingEnd::finished && !is_over() &&
          seconds_between(kept_, now) >= std::max(kSecondsBetweenStates, kTimesOfWriting * seconds_to_keep_))
        keep();
      if (seconds_between(told, now) >= 1) {
        told = now;
        progress({result_.steps, estimated_steps(), result_.loss, seconds_left()});
      }
    }
    if (above_first_ >= std::max(kLeastStepsAbove, result_.steps / 10)) result_.end = TrainingEnd::diverged;
    if (result_.end == TrainingEnd::diverged) return result_;
    if (choice_.evaluate && plan_.task.examples(tasks::Split::validation) > 0 && !is_evaluated_) look_at_held_out();
    if (result_.end == TrainingEnd::diverged) return result_;
    (void)csv_->sync();
    write_checkpoint(plan_.files.checkpoint, plan_.checkpoint, tensors_);
    std::filesystem::remove(plan_.files.state);
    return result_;
  }

 private:
  static std::vector<TrainedTensor> tensors_of(TrainedModel& model) {
    std::vector<TrainedTensor> tensors;
    for (TrainedParameter& parameter : model.parameters().all())
      tensors.push_back({parameter.name, parameter.shape, parameter.values, parameter.gradient});
    return tensors;
  }
  static double seconds_between(Clock::time_point first, Clock::time_point last) {
    return std::chrono::duration<double>(last - first).count();
  }
  [[nodiscard]] double seconds() const { return seconds_before_ + seconds_between(began_, Clock::now()); }
  [[nodiscard]] bool is_over() const {
    if (result_.steps == 0) return false;
    if (plan_tokens_ > 0) return static_cast<double>(result_.tokens) >= plan_tokens_;
    return steps_ ? result_.steps >= *steps_ : seconds() >= plan_seconds_;
  }
  // By what the steps so far have come to; the first has the factor of a long run.
  [[nodiscard]] std::int64_t estimated_steps() const {
    if (plan_tokens_ > 0) {
      const double of_step = result_.steps == 0
                                 ? static_cast<double>(batch_.predicted)
                                 : static_cast<double>(result_.tokens) / static_cast<double>(result_.steps);
      return std::max(result_.steps + 1, static_cast<std::int64_t>(std::ceil(plan_tokens_ / of_step)));
    }
    if (steps_) return *steps_;
    if (result_.steps == 0) return kManySteps;
    return std::max<std::int64_t>(result_.steps,
                                  std::llround(static_cast<double>(result_.steps) * plan_seconds_ / seconds()));
  }
  [[nodiscard]] double seconds_left() const {
    if (plan_seconds_ > 0) return std::max(0.0, plan_seconds_ - seconds());
    return seconds() / static_cast<double>(std::max<std::int64_t>(1, result_.steps)) *
           static_cast<double>(estimated_steps() - result_.steps);
  }

  void make_step() {
    const std::int64_t step = result_.steps + 1;
    batch_.draw(plan_.task, plan_.seed, tasks::Split::train, result_.steps * choice_.batch, choice_.batch);
    model_.parameters().clear_gradients();
    model_.set_dropout(choice_.dropout, SplitMix64(plan_.seed, static_cast<std::uint64_t>(step)).next());
    BatchLoss loss;
    const std::int64_t part = (choice_.batch + choice_.accumulate - 1) / choice_.accumulate;
    for (std::int64_t first = 0; first < choice_.batch; first += part) {
      const auto of_part = std::span(batch_.sequences).subspan(first, std::min(part, choice_.batch - first));
      loss.sum += model_.accumulate(of_part, 1.0 / batch_.weights).sum;
    }
    result_.loss = loss.sum / batch_.weights;
    const double norm = clipping_->clip(tensors_);
    if (!std::isfinite(result_.loss) || !std::isfinite(norm)) {
      result_.steps = step;  // which is not made
      result_.end = TrainingEnd::diverged;
      return;
    }
    const double factor =
        factor_of(choice_.schedule, static_cast<double>(step), static_cast<double>(estimated_steps()));
    optimiser_->step(tensors_, step, factor);
    model_.write_back();
    result_.steps = step;
    result_.tokens += batch_.predicted;
    result_.fed += batch_.tokens;
    result_.learning_rate = optimiser_->learning_rate(factor);
    csv_->add({step, result_.loss, norm, result_.learning_rate, result_.tokens, seconds()});
    watch_divergence();
    is_evaluated_ = false;
    if (choice_.evaluate && choice_.evaluate->every > 0 && step % choice_.evaluate->every == 0) look_at_held_out();
  }

  // Steps in a row whose loss was above that of the first.
  void watch_divergence() {
    if (result_.steps == 1) first_loss_ = result_.loss;
    above_first_ = result_.loss > first_loss_ ? above_first_ + 1 : 0;
  }

  void look_at_held_out() {
    if (plan_.task.examples(tasks::Split::validation) == 0) return;
    result_.held_out = evaluate(model_, plan_.task, choice_.batch, choice_.evaluate->batches);
    is_evaluated_ = true;
    if (!std::isfinite(result_.held_out->loss)) {
      result_.loss = result_.held_out->loss;
      result_.end = TrainingEnd::diverged;
      return;
    }
    evaluations_.push_back({result_.steps, result_.held_out->loss, result_.held_out->accuracy});
    write_evaluations(plan_.files.held_out, evaluations_);
    if (!choice_.stop) return;
    const bool is_reached = (choice_.stop->accuracy && result_.held_out->accuracy >= *choice_.stop->accuracy) ||
                            (choice_.stop->loss && result_.held_out->loss <= *choice_.stop->loss);
    if (is_reached && !is_over()) result_.end = TrainingEnd::stopped_early;
  }

  void keep() {
    const Clock::time_point begins = Clock::now();
    StateWriter writer;
    for (const TrainedTensor& tensor : tensors_) writer.add("parameter " + tensor.name, tensor.values);
    optimiser_->save(writer);
    writer.write(plan_.files.state, {.belongs_to = plan_.belongs_to,
                                     .step = result_.steps,
                                     .csv_bytes = csv_->sync(),
                                     .loop = {{"tokens", result_.tokens},
                                              {"fed", result_.fed},
                                              {"seconds", seconds()},
                                              {"loss", result_.loss},
                                              {"learning_rate", result_.learning_rate},
                                              {"first_loss", first_loss_},
                                              {"above_first", above_first_},
                                              {"evaluations", evaluations_}}});
    kept_ = Clock::now();
    seconds_to_keep_ = seconds_between(begins, kept_);
  }

  void begin_files() {
    std::error_code ignored;
    std::filesystem::remove(plan_.files.held_out, ignored);  // of a training that was here before
    csv_.emplace(TrainingCsv::begin(plan_.files.curve));
  }

  TrainingCsv restore() {
    if (!std::filesystem::exists(plan_.files.state)) {
      if (std::filesystem::exists(plan_.files.checkpoint))
        throw Error(plan_.files.checkpoint.parent_path().string(),
                    "this training has ended: its checkpoint is there, and no state", "train into another folder");
      begin_files();  // killed before the first state
      return *std::exchange(csv_, std::nullopt);
    }
    const StateReader reader = StateReader::open(plan_.files.state, plan_.belongs_to);
    for (const TrainedTensor& tensor : tensors_) reader.read("parameter " + tensor.name, tensor.values);
    optimiser_->restore(reader);
    model_.write_back();
    const StateFacts& facts = reader.facts();
    result_.steps = facts.step;
    result_.tokens = facts.loop.at("tokens");
    result_.fed = facts.loop.at("fed");
    result_.loss = facts.loop.at("loss");
    result_.learning_rate = facts.loop.at("learning_rate");
    first_loss_ = facts.loop.at("first_loss");
    above_first_ = facts.loop.at("above_first");
    seconds_before_ = facts.loop.at("seconds");
    evaluations_ = facts.loop.at("evaluations").get<std::vector<EvaluationRow>>();
    if (!evaluations_.empty()) write_evaluations(plan_.files.held_out, evaluations_);
    return TrainingCsv::resume(plan_.files.curve, facts.csv_bytes);
  }

  TrainedModel& model_;
  const TrainingPlan& plan_;
  const TrainChoice& choice_;
  std::vector<TrainedTensor> tensors_;
  std::unique_ptr<Optimiser> optimiser_;
  std::optional<Clipping> clipping_;
  std::optional<TrainingCsv> csv_;
  std::vector<EvaluationRow> evaluations_;
  Batch batch_;
  std::optional<std::int64_t> steps_;          // none: the seconds end the run
  double plan_seconds_ = 0, plan_tokens_ = 0;  // 0: something else ends the run
  double seconds_before_ = 0;                  // of earlier runs of a training that is resumed
  double first_loss_ = 0;
  std::int64_t above_first_ = 0;  // steps in a row whose loss was above the first
  bool is_evaluated_ = false;
  double seconds_to_keep_ = 0;
  Clock::time_point began_, kept_;
  TrainingResult result_;
};

}  // namespace

HeldOut evaluate(TrainedModel& model, const tasks::Task& task, std::int64_t batch, std::int64_t batches) {
  constexpr std::uint64_t seed = 0;  // held-out data are the same for every training
  const std::int64_t examples = task.examples(tasks::Split::validation);
  const std::int64_t wanted = std::min(examples, batch * batches);
  BatchLoss all;
  double optimum = 0;
  Batch drawn;
  for (std::int64_t first = 0; first < wanted; first += batch) {
    drawn.draw(task, seed, tasks::Split::validation, first, std::min(batch, wanted - first));
    const BatchLoss loss = model.evaluate(drawn.sequences);
    all.sum += loss.sum;
    all.weights += loss.weights;
    all.predicted += loss.predicted;
    all.correct += loss.correct;
    optimum += drawn.optimum;
  }
  if (all.predicted == 0) return {};
  HeldOut held{.loss = all.sum / all.weights,
               .accuracy = static_cast<double>(all.correct) / static_cast<double>(all.predicted)};
  if (task.facts().knows_optimum) held.above_optimum = held.loss - optimum / all.weights;
  return held;
}

bool can_resume(const TrainingFiles& files, const Belonging& belongs_to) try {
  const StateReader reader = StateReader::open(files.state, belongs_to);
  (void)TrainingCsv::resume(files.curve, reader.facts().csv_bytes);
  return true;
} catch (const Error&) {
  return false;
}

TrainingResult train(TrainedModel& model, const TrainingPlan& plan,
                     const std::function<void(const TrainingProgress&)>& progress) {
  return Loop(model, plan).run(progress);
}

}  // namespace attnlab::training
