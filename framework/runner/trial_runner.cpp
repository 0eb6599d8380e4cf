#include "runner/trial_runner.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <system_error>

#include <fmt/format.h>

#include <attnlab/error.h>

#include "report/read/format.h"
#include "report/read/text_file.h"
#include "runner/interrupt.h"
#include "runner/trial_process.h"

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

// One process, started when it is first needed and again when it died.
class TrialRunner::Task {
 public:
  Task(TrialRunner& runner, const ProcessTask& task) : runner_(runner), task_(task) {}
  ~Task() {
    const Clock::time_point start = Clock::now();
    process_.reset();
    runner_.measured_seconds_ += seconds_since(start);
  }
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;

  report::TrialResult measure(std::size_t planned_case) {
    report::TrialResult result = trial_frame(runner_.plan_, task_.arm, planned_case, task_.seed, task_.round);
    const auto end_as = [&](const std::string& status, const std::string& reason) {
      result.status = status;
      result.reason = reason;
      return result;
    };
    if (const std::string& failed = runner_.plan_.arms[task_.arm].failed; !failed.empty())
      return end_as("failed", failed);
    const auto weights = runner_.weights_.find({task_.arm, task_.seed});
    if (weights != runner_.weights_.end() && weights->second.status != "ok")
      return end_as(weights->second.status, weights->second.reason);
    if (weights == runner_.weights_.end() && runner_.plan_.arms[task_.arm].trained != nullptr)
      return end_as("failed", "its training has not ended");  // never with the weights that it began with
    const std::tuple key{task_.arm, task_.seed, planned_case};
    const auto known = runner_.verdicts_.find(key);
    const bool is_checked = known != runner_.verdicts_.end();
    if (is_checked && !known->second.empty()) return end_as("wrong", known->second);
    if (no_start_) return end_as(no_start_->status, no_start_->reason);
    const Clock::time_point start = Clock::now();
    if (process_ == nullptr) begin(planned_case);
    if (no_start_)
      end_as(no_start_->status, no_start_->reason);
    else
      result = is_checked ? ask(TrialRequest::What::measure, planned_case) : check_and_measure(planned_case, key);
    if (process_ != nullptr && !process_->is_alive()) process_.reset();
    runner_.measured_seconds_ += seconds_since(start);
    return result;
  }

 private:
  report::TrialResult ask(TrialRequest::What what, std::size_t planned_case) {
    return process_->ask({what, planned_case, task_.round}, waits());
  }

  // The first time in this run that the arm meets the case.
  report::TrialResult check_and_measure(std::size_t planned_case,
                                        const std::tuple<std::size_t, std::int64_t, std::size_t>& key) {
    report::TrialResult checked = ask(TrialRequest::What::check, planned_case);
    if (checked.is_ok() || checked.status == "wrong") runner_.verdicts_[key] = checked.reason;
    return checked.is_ok() ? ask(TrialRequest::What::measure, planned_case) : checked;
  }

  [[nodiscard]] std::function<void()> waits() const {
    return [this] { runner_.progress_.wait(); };
  }

  void begin(std::size_t planned_case) {
    const auto weights = runner_.weights_.find({task_.arm, task_.seed});
    process_ = std::make_unique<TrialProcess>(
        runner_.plan_, TrialStart{.arm = task_.arm,
                                  .seed = task_.seed,
                                  .trials_folder = runner_.folder_,
                                  .weights = weights == runner_.weights_.end() ? fs::path() : weights->second.folder});
    report::TrialResult made = ask(TrialRequest::What::prepare, planned_case);
    if (!made.is_ok()) no_start_ = std::move(made);  // what cannot be made for one case cannot be made for the next
  }

  TrialRunner& runner_;
  const ProcessTask& task_;
  std::unique_ptr<TrialProcess> process_;
  std::optional<report::TrialResult> no_start_;
};

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
  std::map<std::string, report::TrialResult> found;
  for (report::TrialResult& trial : report::read_trials(folder_))
    if (trial.is_ok()) found[trial.id] = std::move(trial);
  for (std::size_t index = 0; index < plan_.cases.size(); ++index) {
    const PlannedCase& planned = plan_.cases[index];
    for (const std::int64_t seed : plan_.spec.seeds) {
      const BaselineFile baseline = baseline_file(plan_, plan_.spec.baseline, index, seed, folder_);
      const bool compares =
          !plan_.kind_of(planned).against_baseline.empty() && baseline.role != BaselineFile::Role::none;
      for (std::size_t arm = 0; arm < plan_.arms.size(); ++arm)
        for (int round = 0; round < (planned.deterministic ? 1 : plan_.spec.repeats.max); ++round) {
          const auto trial = found.find(trial_id(plan_, plan_.arms[arm], planned, seed, round));
          if (trial == found.end()) continue;
          std::error_code ignored;
          // Without the baseline's predictions the others have nothing to be compared with.
          if (!compares || arm != plan_.spec.baseline || fs::exists(baseline.path, ignored))
            results_[trial->first] = std::move(trial->second);
        }
    }
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

// In one process, until the run has to stop. `measure` gives the result of a case and has kept it.
template <class Measure>
void TrialRunner::run_each(const ProcessTask& task, const std::string& stage, const Measure& measure) {
  Task process(*this, task);
  for (const std::size_t planned_case : task.cases) {
    if (must_stop()) return;
    show_start(task, planned_case, stage);
    const Clock::time_point start = Clock::now();
    const report::TrialResult result = measure(process, planned_case);
    progress_.end(result, seconds_since(start));
  }
}

void TrialRunner::run(const ProcessTask& task, const std::string& stage) {
  run_each(task, stage, [&](Task& process, std::size_t planned_case) {
    const std::optional<report::TrialResult> row = not_again(task, planned_case);
    report::TrialResult result = row ? *row : measure(process, task, planned_case);
    keep(result);
    return result;
  });
}

void TrialRunner::run_again(const ProcessTask& task, const std::string& stage) {
  run_each(task, stage, [&](Task& process, std::size_t planned_case) {
    report::TrialResult result = measure(process, task, planned_case);
    // One level: a results folder that was removed under way is not made again. What is wrong shows in the writing.
    std::error_code ignored;
    fs::create_directory(superseded_, ignored);
    report::write_atomically(superseded_ / attempt_name(result.id, 2), report::json_text(result));
    again_[result.id] = result;
    return result;
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

report::TrialResult TrialRunner::measure(Task& process, const ProcessTask& task, std::size_t planned_case) {
  report::TrialResult result = process.measure(planned_case);
  if (const std::string trainings = trainings_of(task.arm, planned_case, task.seed); !trainings.empty())
    result.details["trainings"] = trainings;
  for (const std::string& note : plan_.arms[task.arm].cases[planned_case].notes)
    result.details["notes"].push_back(note);
  if (result.status == "failed" || result.status == "timed_out")
    bad_ends_.try_emplace({task.arm, planned_case, task.seed}, BadEnd{task.round, result.status, result.reason});
  return result;
}

std::vector<report::TrialResult> TrialRunner::run_discarded(const ProcessTask& task, const std::string& stage) {
  Task process(*this, task);
  std::vector<report::TrialResult> results;
  for (const std::size_t planned_case : task.cases) {
    if (must_stop()) break;
    show_start(task, planned_case, stage);
    results.push_back(process.measure(planned_case));
  }
  return results;
}

void TrialRunner::show_start(const ProcessTask& task, std::size_t planned_case, const std::string& stage) {
  const PlannedCase& planned = plan_.cases[planned_case];
  progress_.start(plan_.arms[task.arm].arm.name, report::case_title({planned.workload_name, planned.label}), stage);
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
