#include "runner/training_runner.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <optional>
#include <system_error>
#include <utility>

#include <attnlab/error.h>

#include "report/read/metrics.h"
#include "report/read/study_layout.h"
#include "report/read/text_file.h"
#include "runner/trial_process.h"
#include "training/trained_checkpoint.h"

namespace attnlab::experiment {
namespace fs = std::filesystem;
namespace {

using Clock = std::chrono::steady_clock;

std::optional<double> sample_of(const report::TrainingRecord& record, std::string_view metric) {
  for (const report::Sample& sample : record.samples)
    if (sample.metric == metric) return sample.value;
  return std::nullopt;
}

}  // namespace

TrainingRunner::TrainingRunner(const Plan& plan, fs::path results, TrialRunner& trials, Progress& progress)
    : plan_(plan), results_(std::move(results)), trials_(trials), progress_(progress) {
  for (const PlannedTraining& training : plan.trainings) {
    try {
      if (auto record = report::read_record(results_, training.id)) records_[training.id] = *std::move(record);
    } catch (const Error&) {  // damaged: it is trained again
    }
    if (!is_done(training)) records_.erase(training.id);
  }
}

// What failed or timed out is tried again.
bool TrainingRunner::is_done(const PlannedTraining& training) const {
  const auto found = records_.find(training.id);
  if (found == records_.end()) return false;
  return found->second.status == "diverged" ||
         (found->second.status == "ok" && training::is_whole_checkpoint(report::weights_folder(results_, training.id)));
}

void TrainingRunner::expect() {
  for (const PlannedTraining& training : plan_.trainings)
    if (!is_done(training)) progress_.expect("train", 1);
}

void TrainingRunner::run() {
  keep_failed_arms();
  for (std::size_t index = 0; index < plan_.trainings.size() && !trials_.must_stop(); ++index) {
    const PlannedTraining& training = plan_.trainings[index];
    if (!is_done(training)) train(index);
    const auto record = records_.find(training.id);
    if (record == records_.end()) return;  // interrupted
    const TrainingGroup& group = plan_.groups[training.group];
    if (can_settle(group)) settle(group, true);
    // Of a search, too: the row says why the run stops.
    if (plan_.spec.stops_on_error && report::is_fault(record->second.status))
      for (const std::size_t arm : group.arms) trials_.keep_row(row_of(arm, training, record->second));
  }
}

void TrainingRunner::keep_failed_arms() {
  for (std::size_t arm = 0; arm < plan_.arms.size(); ++arm) {
    if (plan_.arms[arm].trained == nullptr || plan_.arms[arm].failed.empty()) continue;
    for (const std::int64_t seed : plan_.spec.seeds) {
      report::TrialResult row = trial_frame(plan_, arm, *plan_.train_case(), seed, 0);
      row.status = "failed";
      row.reason = plan_.arms[arm].failed;
      trials_.keep_row(row);
    }
  }
}

// With one rate every seed stands for itself; a search needs them all.
bool TrainingRunner::can_settle(const TrainingGroup& group) const {
  if (plan_.arms[group.arms.front()].trained->rates().size() == 1) return true;
  return std::ranges::all_of(group.trainings,
                             [&](std::size_t one) { return records_.contains(plan_.trainings[one].id); });
}

void TrainingRunner::train(std::size_t index) {
  const PlannedTraining& training = plan_.trainings[index];
  const TrainingGroup& group = plan_.groups[training.group];
  const std::size_t arm = group.arms.front();
  const std::size_t others = group.arms.size() - 1;
  progress_.start(plan_.arms[arm].arm.name + (others == 0 ? "" : fmt::format(" (and {} more)", others)), "train",
                  fmt::format("seed {}, rate {}", training.seed, training.rate));
  std::error_code none;
  fs::remove(report::record_file(results_, training.id), none);  // how it ended before
  const Clock::time_point start = Clock::now();
  report::TrialResult result;
  {
    TrialProcess process(plan_, {.arm = arm, .seed = training.seed, .trials_folder = results_ / "trials"});
    result = process.ask({.what = TrialRequest::What::train, .planned_case = *plan_.train_case(), .training = index},
                         [&] { show_step(training); });
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  trials_.add_measured_seconds(seconds);
  if (result.status == kInterrupted) return;  // the state that is kept goes on
  progress_.end(result, seconds);
  report::TrainingRecord record{.id = training.id,
                                .status = result.status,
                                .reason = result.reason,
                                .learning_rate = training.rate,
                                .samples = std::move(result.samples),
                                .details = std::move(result.details)};
  if (!node_.is_null()) record.details["node"] = node_;
  if (record.details.contains("training")) record.stopped_early = record.details.at("training").at("stopped_early");
  report::write_atomically(report::record_file(results_, training.id), report::json_text(record));
  records_[training.id] = std::move(record);
}

void TrainingRunner::show_step(const PlannedTraining& training) {
  if (const auto last = report::last_point(report::curve_file(results_, training.id))) {
    const auto& trained = plan_.arms[plan_.groups[training.group].arms.front()].trained;
    progress_.note(trained->steps ? fmt::format("step {} of {}, loss {:.4f}", last->step, *trained->steps, last->loss)
                                  : fmt::format("step {}, loss {:.4f}", last->step, last->loss));
  }
  progress_.wait();
}

// The lowest mean over the seeds; a rate that fails with a seed stands after those that do not.
double TrainingRunner::best_rate(const TrainingGroup& group) const {
  const TrainedAs& trained = *plan_.arms[group.arms.front()].trained;
  double best = trained.rates().front();
  std::pair<std::size_t, double> least{std::numeric_limits<std::size_t>::max(), 0};  // seeds without a loss, mean loss
  for (const double rate : trained.rates()) {
    std::pair<std::size_t, double> found{0, 0};
    std::size_t measured = 0;
    for (const std::size_t index : group.trainings) {
      if (plan_.trainings[index].rate != rate || !records_.contains(plan_.trainings[index].id)) continue;
      const auto loss = sample_of(records_.at(plan_.trainings[index].id), report::kValidationLoss);
      if (!loss || !std::isfinite(*loss)) {
        ++found.first;
        continue;
      }
      found.second += *loss;
      ++measured;
    }
    if (measured > 0) found.second /= static_cast<double>(measured);
    if (found < least) {
      least = found;
      best = rate;
    }
  }
  return best;
}

bool TrainingRunner::run_one(std::size_t training) {
  const std::string& id = plan_.trainings[training].id;
  if (!is_done(plan_.trainings[training])) train(training);
  return records_.contains(id) && !report::is_fault(records_.at(id).status);
}

// How one that is not done has ended, if it has; what was known of it before counts no more.
void TrainingRunner::take_record(const PlannedTraining& training) {
  if (records_.erase(training.id) > 0)
    for (const std::size_t arm : plan_.groups[training.group].arms) trials_.forget_weights(arm, training.seed);
  if (auto record = report::read_record(results_, training.id)) records_[training.id] = *std::move(record);
}

void TrainingRunner::take_ended(bool keep_rows) {
  if (keep_rows) keep_failed_arms();
  for (const PlannedTraining& training : plan_.trainings)
    if (!is_done(training)) take_record(training);
  for (const TrainingGroup& group : plan_.groups)
    if (can_settle(group)) settle(group, keep_rows);
}

void TrainingRunner::settle(const TrainingGroup& group, bool keep_rows) {
  const double rate = best_rate(group);
  for (const std::size_t index : group.trainings) {
    const PlannedTraining& training = plan_.trainings[index];
    if (training.rate != rate || !records_.contains(training.id)) continue;
    const report::TrainingRecord& record = records_.at(training.id);
    for (const std::size_t arm : group.arms) {
      if (record.status == "ok")
        trials_.use_weights(arm, training.seed,
                            {.training = training.id, .folder = report::weights_folder(results_, training.id)});
      else
        trials_.use_weights(arm, training.seed,
                            {.training = training.id, .status = record.status, .reason = record.reason});
      if (keep_rows) trials_.keep_row(row_of(arm, training, record));
    }
  }
}

report::TrialResult TrainingRunner::row_of(std::size_t arm, const PlannedTraining& training,
                                           const report::TrainingRecord& record) const {
  report::TrialResult row = trial_frame(plan_, arm, *plan_.train_case(), training.seed, 0);
  row.status = record.status;
  row.reason = record.reason;
  row.samples = record.samples;
  row.details = record.details;
  row.details["training"]["id"] = training.id;  // of one that did not end well, too
  row.details["training"]["learning_rate"] = training.rate;
  for (const std::string& note : plan_.arms[arm].cases[*plan_.train_case()].notes) row.details["notes"].push_back(note);
  // A loss of another task says nothing beside those of this one.
  const PlannedArm& baseline = plan_.arms[plan_.spec.baseline];
  if (baseline.trained != nullptr && baseline.trained->task_digest != plan_.arms[arm].trained->task_digest)
    row.details["no_verdict"] = "it was trained on another task than " + baseline.arm.name;
  if (plan_.arms[arm].threads != plan_.threads) row.details["threads"] = plan_.arms[arm].threads;
  return row;
}

}  // namespace attnlab::experiment
