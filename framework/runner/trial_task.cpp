#include "runner/trial_task.h"

#include <chrono>

namespace attnlab::experiment {
namespace fs = std::filesystem;

template <class Call>
auto TrialRunner::Task::timed(const Call& call) {
  const auto start = std::chrono::steady_clock::now();
  auto result = call();
  if (process_ != nullptr && !process_->is_alive()) process_.reset();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  seconds_ += seconds;
  runner_.measured_seconds_ += seconds;
  return result;
}

TrialRunner::Task::~Task() {
  static_cast<void>(timed([&] {
    process_.reset();
    return true;
  }));
}

report::TrialResult TrialRunner::Task::measure(std::size_t planned_case) {
  if (const auto known = known_end(planned_case)) return *known;
  return timed([&] {
    if (const auto end = make_ready(planned_case)) return *end;
    return process_->ask({TrialRequest::What::measure, planned_case, task_.round}, waits());
  });
}

std::optional<report::TrialResult> TrialRunner::Task::begin(std::size_t planned_case) {
  seconds_ = 0;
  if (const auto known = known_end(planned_case)) return known;
  return timed([&]() -> std::optional<report::TrialResult> {
    if (const auto end = make_ready(planned_case)) return end;
    return process_->begin({TrialRequest::What::measure, planned_case, task_.round}, waits());
  });
}

std::optional<report::TrialResult> TrialRunner::Task::take_turn(const TurnPlan& plan) {
  return timed([&] { return process_->take_turn(plan, waits()); });
}

std::optional<report::TrialResult> TrialRunner::Task::known_end(std::size_t planned_case) const {
  if (auto row = runner_.not_again(task_, planned_case)) return row;
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
  const auto verdict = runner_.verdicts_.find({task_.arm, task_.seed, planned_case});
  if (verdict != runner_.verdicts_.end() && !verdict->second.empty()) return end_as("wrong", verdict->second);
  if (no_start_) return end_as(no_start_->status, no_start_->reason);
  return std::nullopt;
}

// A process with the arm's model, which is checked the first time in this run that the arm meets the case.
std::optional<report::TrialResult> TrialRunner::Task::make_ready(std::size_t planned_case) {
  if (process_ == nullptr) start_process(planned_case);
  if (no_start_) {
    report::TrialResult result = trial_frame(runner_.plan_, task_.arm, planned_case, task_.seed, task_.round);
    result.status = no_start_->status;
    result.reason = no_start_->reason;
    return result;
  }
  const Key key{task_.arm, task_.seed, planned_case};
  if (runner_.verdicts_.contains(key)) return std::nullopt;
  report::TrialResult checked = process_->ask({TrialRequest::What::check, planned_case, task_.round}, waits());
  if (checked.is_ok() || checked.status == "wrong") runner_.verdicts_[key] = checked.reason;
  if (checked.is_ok()) return std::nullopt;
  return checked;
}

void TrialRunner::Task::start_process(std::size_t planned_case) {
  const auto weights = runner_.weights_.find({task_.arm, task_.seed});
  const bool is_trained = weights != runner_.weights_.end();
  const WeightsTogether::Inherited inherited = weights_.of(index_);
  process_ = std::make_unique<TrialProcess>(runner_.plan_,
                                            TrialStart{.arm = task_.arm,
                                                       .seed = task_.seed,
                                                       .trials_folder = runner_.folder_,
                                                       .weights = is_trained ? weights->second.folder : fs::path(),
                                                       .shared = inherited.parts()});
  report::TrialResult made = process_->ask({TrialRequest::What::prepare, planned_case, task_.round}, waits());
  if (!made.is_ok()) no_start_ = std::move(made);  // what cannot be made for one case cannot be made for the next
}

std::function<void()> TrialRunner::Task::waits() const {
  return [this] { runner_.progress_.wait(); };
}

}  // namespace attnlab::experiment
