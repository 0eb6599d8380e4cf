#include "runner/trial_runner.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <optional>
#include <system_error>

#include <fmt/format.h>

#include <attnlab/error.h>

#include "report/read/format.h"
#include "report/read/text_file.h"
#include "runner/interrupt.h"
#include "runner/trial_task.h"

namespace attnlab::experiment {
namespace fs = std::filesystem;
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

bool has_sample(const report::TrialResult& trial, std::string_view metric) {
  for (const report::Sample& sample : trial.samples)
    if (sample.metric == metric) return true;
  return false;
}

// A round that is disturbed is measured twice, and every result stays.
std::string attempt_name(const std::string& id, int attempt) {
  return fmt::format("{}.attempt-{}.json", id, attempt);
}

}  // namespace

TrialRunner::TrialRunner(const Plan& plan, fs::path trials_folder, fs::path superseded_folder, Progress& progress)
    : plan_(plan), folder_(std::move(trials_folder)), superseded_(std::move(superseded_folder)), progress_(progress) {}

void TrialRunner::keep_refusals() {
  for (std::size_t arm = 0; arm < plan_.arms.size(); ++arm) {
    if (!plan_.arms[arm].refused.empty()) continue;  // a row of its own
    for (std::size_t index = 0; index < plan_.cases.size(); ++index) {
      if (plan_.arms[arm].runs(index) || plan_.arms[arm].cases[index].is_absent) continue;
      report::TrialResult result = trial_frame(plan_, arm, index, plan_.spec.seed, 0);
      result.status = "refused";
      result.reason = plan_.arms[arm].cases[index].refused;
      keep(result);
    }
  }
}

void TrialRunner::use_weights(std::size_t arm, std::int64_t seed, Weights weights) {
  weights_[{arm, seed}] = std::move(weights);
}

std::string TrialRunner::trainings_of(std::size_t arm, std::size_t planned_case, std::int64_t seed) const {
  if (planned_case == plan_.train_case()) return {};
  const auto id_of = [&](std::size_t one) {
    const auto found = weights_.find({one, seed});
    return found == weights_.end() ? std::string() : found->second.training;
  };
  const bool compares = !plan_.kind_of(plan_.cases[planned_case]).against_baseline.empty();
  const std::string own = id_of(arm), of_baseline = compares ? id_of(plan_.spec.baseline) : "";
  return of_baseline.empty() || of_baseline == own ? own : own + " " + of_baseline;
}

void TrialRunner::take_done_trials() {
  for (std::size_t index = 0; index < plan_.cases.size(); ++index)
    for (const std::int64_t seed : plan_.spec.seeds)
      for (std::size_t arm = 0; arm < plan_.arms.size(); ++arm)
        for (int round = 0; round < (plan_.cases[index].deterministic ? 1 : plan_.spec.repeats.max); ++round)
          take_done_trials({.arm = arm, .seed = seed, .round = round, .cases = {index}});
}

void TrialRunner::take_done_trials(const ProcessTask& task) {
  for (const std::size_t index : task.cases) {
    const PlannedCase& planned = plan_.cases[index];
    const std::string id = trial_id(plan_, plan_.arms[task.arm], planned, task.seed, task.round);
    std::optional<report::TrialResult> trial = report::read_trial(folder_, id);
    if (!trial || !trial->is_ok()) continue;
    // Without the baseline's predictions the others have nothing to be compared with.
    if (task.arm == plan_.spec.baseline && !plan_.kind_of(planned).against_baseline.empty()) {
      const BaselineFile baseline = baseline_file(plan_, task.arm, index, task.seed, folder_);
      std::error_code none;
      if (baseline.role != BaselineFile::Role::none && !fs::exists(baseline.path, none)) continue;
    }
    results_[id] = *std::move(trial);
  }
}

bool TrialRunner::is_done(std::size_t arm, std::size_t planned_case, std::int64_t seed, int round) const {
  const PlannedCase& planned = plan_.cases[planned_case];
  const auto found = results_.find(trial_id(plan_, plan_.arms[arm], planned, seed, round));
  if (found == results_.end() || !found->second.is_ok()) return false;
  // A search that went on may have kept other weights since.
  if (const std::string trainings = trainings_of(arm, planned_case, seed);
      !trainings.empty() && found->second.details.value("trainings", "") != trainings)
    return false;
  // What ran while the baseline had failed was not compared with it, and now it can be.
  const std::size_t baseline = plan_.spec.baseline;
  const std::string_view compared = plan_.kind_of(planned).against_baseline;
  return compared.empty() || arm == baseline || has_sample(found->second, compared) ||
         !is_done(baseline, planned_case, seed, round);
}

// Case by case, until the run has to stop. `keep` takes what was measured.
template <class Keep>
void TrialRunner::run_each(std::span<const ProcessTask> tasks, const std::string& stage, const Keep& keep) {
  WeightsTogether weights(plan_, tasks);
  std::deque<Task> processes;
  for (std::size_t index = 0; index < tasks.size(); ++index) processes.emplace_back(*this, tasks, index, weights);
  for (std::size_t index = 0; index < plan_.cases.size(); ++index) {
    std::vector<Task*> measured;
    for (Task& process : processes)
      if (std::ranges::find(process.task().cases, index) != process.task().cases.end()) measured.push_back(&process);
    if (!measured.empty() && plan_.cases[index].is_timed && plan_.spec.interleave) {
      if (must_stop()) return;
      for (TurnsEnd& end : take_turns(measured, index, stage)) {
        complete(end.result, end.process->task(), index);
        keep(end.result);
        progress_.end(end.result, end.seconds);
      }
      continue;
    }
    for (Task* process : measured) {
      if (must_stop()) return;
      show_start(process->task(), index, stage);
      const Clock::time_point start = Clock::now();
      report::TrialResult result = process->measure(index);
      complete(result, process->task(), index);
      keep(result);
      progress_.end(result, seconds_since(start));
    }
  }
}

void TrialRunner::run(std::span<const ProcessTask> tasks, const std::string& stage) {
  run_each(tasks, stage, [&](const report::TrialResult& result) { keep(result); });
}

std::vector<std::size_t> TrialRunner::keep_known_ends(const ProcessTask& task) {
  WeightsTogether weights(plan_, {&task, 1});
  const Task without_process(*this, {&task, 1}, 0, weights);
  std::vector<std::size_t> others;
  for (const std::size_t planned_case : task.cases) {
    std::optional<report::TrialResult> known = without_process.known_end(planned_case);
    if (!known) {
      others.push_back(planned_case);
      continue;
    }
    complete(*known, task, planned_case);
    keep(*known);
  }
  return others;
}

void TrialRunner::run_again(std::span<const ProcessTask> tasks, const std::string& stage) {
  run_each(tasks, stage, [&](const report::TrialResult& result) {
    // One level: a results folder that was removed under way is not made again. What is wrong shows in the writing.
    std::error_code ignored;
    fs::create_directory(superseded_, ignored);
    report::write_atomically(superseded_ / attempt_name(result.id, 2), report::json_text(result));
    again_[result.id] = result;
  });
}

// A reader, or a run that goes on after this one was killed, finds one whole attempt of each trial at any moment.
void TrialRunner::settle(bool second_counts) {
  for (auto& [id, second] : again_) {
    if (!second_counts && second.is_ok()) continue;
    report::write_atomically(superseded_ / attempt_name(id, 1), report::json_text(results_.at(id)));
    keep(second);
    std::error_code ignored;
    fs::remove(superseded_ / attempt_name(id, 2), ignored);
  }
  again_.clear();
}

std::optional<report::TrialResult> TrialRunner::not_again(const ProcessTask& task, std::size_t planned_case) const {
  const auto found = bad_ends_.find({task.arm, planned_case, task.seed});
  if (found == bad_ends_.end() || found->second.round >= task.round) return std::nullopt;
  report::TrialResult row = trial_frame(plan_, task.arm, planned_case, task.seed, task.round);
  row.status = found->second.status;
  row.reason = fmt::format("not started again after round {}: {}", found->second.round + 1, found->second.reason);
  return row;
}

void TrialRunner::complete(report::TrialResult& result, const ProcessTask& task, std::size_t planned_case) {
  if (!node_.is_null()) result.details["node"] = node_;
  if (const std::string trainings = trainings_of(task.arm, planned_case, task.seed); !trainings.empty())
    result.details["trainings"] = trainings;
  for (const std::string& note : plan_.arms[task.arm].cases[planned_case].notes)
    result.details["notes"].push_back(note);
  if (result.status == "failed" || result.status == "timed_out")
    bad_ends_.try_emplace({task.arm, planned_case, task.seed}, BadEnd{task.round, result.status, result.reason});
}

std::vector<report::TrialResult> TrialRunner::run_discarded(const ProcessTask& task, const std::string& stage) {
  WeightsTogether weights(plan_, {&task, 1});
  Task process(*this, {&task, 1}, 0, weights);
  std::vector<report::TrialResult> results;
  for (const std::size_t planned_case : task.cases) {
    if (must_stop()) break;
    show_start(task, planned_case, stage);
    results.push_back(process.measure(planned_case));
  }
  return results;
}

void TrialRunner::show_start(const ProcessTask& task, std::size_t planned_case, const std::string& stage) {
  progress_.start(plan_.arms[task.arm].arm.name, title(planned_case), stage);
}

std::string TrialRunner::title(std::size_t planned_case) const {
  return report::case_title({plan_.cases[planned_case].workload_name, plan_.cases[planned_case].label});
}

bool TrialRunner::must_stop() const {
  return interrupted() != 0 || (plan_.spec.stops_on_error && has_failed());
}

bool TrialRunner::went_well(std::size_t arm, std::size_t planned_case, std::int64_t seed, int round) const {
  const auto found = results_.find(trial_id(plan_, plan_.arms[arm], plan_.cases[planned_case], seed, round));
  return found != results_.end() && found->second.is_ok();
}

bool TrialRunner::has_failed() const {
  return std::any_of(results_.begin(), results_.end(),
                     [](const auto& one) { return report::is_fault(one.second.status); });
}

void TrialRunner::keep(const report::TrialResult& result) {
  report::write_trial(folder_, result);
  results_[result.id] = result;
}

}  // namespace attnlab::experiment
