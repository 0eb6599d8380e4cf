#include "study/trainings.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <map>
#include <utility>

#include <attnlab/error.h>

#include "base/line_process.h"
#include "config/scalars.h"
#include "parallel/parallel.h"
#include "study/merged_train.h"
#include "study/plan.h"
#include "tasks/read_task.h"
#include "training/arm_training.h"
#include "training/read_train.h"

namespace attnlab::experiment {
namespace {

using nlohmann::ordered_json;

constexpr double kMostTrySeconds = 120;  // of a model that is made, and a few tokens that go through it
constexpr std::int64_t kDrawnExamples = 64;
constexpr double kShareOfPeakTrained = 0.4;  // what steps of small models come to

// The first examples.
std::vector<DrawnExample> draw(const tasks::Task& task) {
  const std::int64_t count = std::min(kDrawnExamples, task.examples(tasks::Split::train));
  std::vector<DrawnExample> drawn;
  tasks::Example example;
  for (std::int64_t index = 0; index < count; ++index) {
    example.clear();
    task.example(1, tasks::Split::train, index, example);
    const std::int64_t asked = std::ssize(example.targets) - std::ranges::count(example.targets, tasks::kNoTarget);
    drawn.push_back({static_cast<double>(example.input.size()), static_cast<double>(asked)});
  }
  return drawn;
}

std::shared_ptr<const TrainedAs> read_training(const config::Node& node, config::ProblemList& problems) {
  TrainedAs trained;
  trained.choice = training::read_train(node, problems);
  if (!problems.empty()) return nullptr;
  const std::unique_ptr<const tasks::Task> task = tasks::read_task(trained.choice.task, problems);
  if (task == nullptr) return nullptr;
  trained.facts = task->facts();
  trained.length = task->length();
  const bool has_held_out = task->examples(tasks::Split::validation) > 0;
  if (!trained.choice.evaluate && has_held_out)
    trained.choice.evaluate = training::Evaluation{};  // after the last step
  try {
    trained.drawn = draw(*task);
    for (const DrawnExample& one : trained.drawn)
      trained.predicted +=
          one.predicted * static_cast<double>(trained.choice.batch) / static_cast<double>(trained.drawn.size());
    trained.steps =
        training::steps_of(trained.choice, std::max(1.0, trained.predicted), task->examples(tasks::Split::train));
    trained.task_digest = training::digest_of(*task);
  } catch (const Error& error) {
    problems.add(node.mark(), error);
    return nullptr;
  }
  return std::make_shared<const TrainedAs>(std::move(trained));
}

// Texts of a study are cut in one way.
void check_tokenizers(const std::vector<std::shared_ptr<const TrainedAs>>& all, config::ProblemList& problems) {
  const TrainedAs* first = nullptr;
  for (const auto& one : all) {
    if (one == nullptr) continue;
    if (first == nullptr) first = one.get();
    if (one->facts.tokenizer != first->facts.tokenizer)
      problems.add(one->facts.where, "train: arms have tasks with different tokenizers",
                   "give all tasks of an experiment the same");
  }
}

ordered_json problem_json(const Problem& problem) {
  return {problem.where, problem.what, problem.remedy};
}

}  // namespace

std::vector<double> TrainedAs::rates() const {
  return choice.search.empty() ? std::vector{choice.optimiser.rate()} : choice.search;
}

training::TrainChoice TrainedAs::with_rate(double rate) const {
  training::TrainChoice one = choice;
  one.search.clear();
  one.optimiser.set_rate(rate);
  return one;
}

std::vector<model::ConfigEntry> model_entries(const config::Node& changed) {
  std::vector<model::ConfigEntry> entries;
  for (const config::Node::Entry& entry : changed.entries())
    entries.push_back({entry.key, config::to_json(entry.value), entry.key_mark.text()});
  return entries;
}

std::vector<std::shared_ptr<const TrainedAs>> read_trainings(const Plan& plan) {
  std::vector<std::shared_ptr<const TrainedAs>> all(plan.spec.arms.size());
  if (plan.spec.train.is_null()) return all;
  if (!plan.spec.constructed.empty())
    throw Error(plan.spec.train.mark().text(), "train: a model that code makes has its weights, and is not trained",
                "name a model YAML or a checkpoint folder");
  config::ProblemList problems;
  std::map<std::string, std::shared_ptr<const TrainedAs>> known;  // by what is written
  for (std::size_t index = 0; index < all.size(); ++index) {
    const Arm& arm = plan.spec.arms[index];
    if (arm.train.is_scalar()) continue;  // none
    const config::Node merged = merged_train(plan.spec.train, arm.train);
    const auto [found, is_new] = known.try_emplace(config::to_json(merged).dump());
    if (is_new) found->second = read_training(merged, problems);
    all[index] = found->second;
  }
  check_tokenizers(all, problems);
  problems.throw_if_any();
  return all;
}

TrainingTrial try_training(const Plan& plan, const PlannedArm& arm) {
  LineProcess process([&](const LineProcess::Send& send) {
    set_threads(1);  // those of the parent are not there
    ordered_json found;
    try {
      const std::unique_ptr<const tasks::Task> task = tasks::read_task(arm.trained->choice.task);
      training::ArmTraining training({.arm = arm.arm,
                                      .source = *arm.source,
                                      .registry = *plan.registry,
                                      .choice = arm.trained->choice,
                                      .task = *task,
                                      .seed = static_cast<std::uint64_t>(plan.spec.seed),
                                      .allow_nonfinite = plan.allow_nonfinite});
      found["parameters"] = training.parameters();
      try {
        training.check_derivatives();
        found["bytes"] = training.bytes(arm.trained->length);
      } catch (const Error& error) {
        const Problem& why = error.problems().front();
        found["refused"].push_back(problem_json({arm.arm.where.text(), why.what, why.remedy}));
      }
    } catch (const Error& error) {
      for (const Problem& problem : error.problems()) found["refused"].push_back(problem_json(problem));
    }
    send(found.dump(-1, ' ', false, ordered_json::error_handler_t::replace));
  });
  const auto line = process.next(kMostTrySeconds);
  if (!line) return {.failed = "a step of its training does not come to its end: " + process.why()};
  const auto found = ordered_json::parse(*line);
  TrainingTrial trial{.parameters = found.value("parameters", std::int64_t{0}), .bytes = found.value("bytes", 0.0)};
  if (found.contains("refused"))
    for (const auto& problem : found.at("refused"))
      trial.refused.push_back({problem.at(0), problem.at(1), problem.at(2)});
  return trial;
}

std::string training_key(const PlannedArm& arm) {
  const ordered_json described = describe_arm(arm.resolved);
  return ordered_json{{"attention", described.at("attention")},
                      {"position", described.at("position")},
                      {"model", arm.source->changed_keys()},
                      {"threads", arm.threads},
                      {"train", training::describe_train(arm.trained->choice)},
                      {"task", arm.trained->task_digest}}
      .dump();
}

void plan_trainings(Plan& plan) {
  std::map<std::string, std::size_t> groups;  // by key
  for (std::size_t index = 0; index < plan.arms.size(); ++index) {
    const PlannedArm& arm = plan.arms[index];
    if (!arm.refused.empty() || !arm.failed.empty() || arm.trained == nullptr) continue;
    const auto [found, is_new] = groups.try_emplace(arm.training_key, plan.groups.size());
    if (is_new) plan.groups.push_back({.parameters = arm.tried->parameters});
    plan.groups[found->second].arms.push_back(index);
  }
  for (const std::int64_t seed : plan.spec.seeds)
    for (std::size_t group = 0; group < plan.groups.size(); ++group)
      for (const double rate : plan.arms[plan.groups[group].arms.front()].trained->rates()) {
        plan.groups[group].trainings.push_back(plan.trainings.size());
        plan.trainings.push_back({.group = group, .seed = seed, .rate = rate});
      }
}

double step_multiply_adds(const PlannedArm& arm) {
  const TrainedAs& trained = *arm.trained;
  const RoofProbe none;
  const ForwardTime passes(arm.cost, {}, none);
  double of_drawn = 0;
  for (const DrawnExample& one : trained.drawn)
    of_drawn += passes.prefill_work(one.tokens, 0, one.predicted).multiply_adds;
  // Every product of the forward pass has two in the backward pass.
  const auto batch = static_cast<double>(trained.choice.batch);
  return 3 * batch * of_drawn / static_cast<double>(std::max<std::size_t>(1, trained.drawn.size()));
}

double training_seconds(const PlannedArm& arm, const RoofProbe& roof) {
  const TrainedAs& trained = *arm.trained;
  if (!trained.steps) return trained.choice.length.count;
  const double operations = 2 * static_cast<double>(*trained.steps) * step_multiply_adds(arm);
  return operations / (kShareOfPeakTrained * roof.fma_flops_per_second);
}

ordered_json describe(const TrainedAs& trained) {
  ordered_json json = {{"task", trained.facts.resolved}};
  json.update(training::describe_train(trained.choice));
  return json;
}

}  // namespace attnlab::experiment
