#include "cluster/watch.h"

#include <algorithm>
#include <fstream>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include <attnlab/error.h>

#include "cluster/earlier_jobs.h"
#include "cluster/round_folder.h"
#include "report/read/format.h"
#include "report/read/text_file.h"
#include "report/read/training_record.h"
#include "runner/trial_worker.h"

namespace attnlab::cluster {
namespace fs = std::filesystem;
namespace {

using Milliseconds = std::chrono::milliseconds;
using experiment::ProcessTask;

// What Slurm has ended may have left something just before.
constexpr std::chrono::duration<double> kUntilSeenOfKilled{10};
constexpr Milliseconds kLeastPause{500};
constexpr Milliseconds kMostPause{30'000};
constexpr int kPauseShare = 20;  // looking takes a twentieth of the time at most

std::string element_key(const std::string& array, int task) {
  return fmt::format("{} {}", array, task);
}

// Why jobs wait for their turn. Other reasons may never go away by themselves: PartitionConfig, a limit of an account.
bool is_usual(const std::string& reason) {
  static const std::unordered_set<std::string> usual = {"None",      "Priority", "Resources",         "Dependency",
                                                        "BeginTime", "Cleaning", "JobArrayTaskLimit", ""};
  return usual.contains(reason);
}

// The last line that says something, of the log's end.
std::string last_line(const fs::path& log) {
  constexpr std::streamoff kEnd = 4096;
  constexpr std::size_t kMost = 300;
  std::ifstream file(log, std::ios::ate | std::ios::binary);
  if (!file) return {};
  const std::streamoff size = file.tellg();
  file.seekg(std::max<std::streamoff>(0, size - kEnd));
  std::string line, last;
  while (std::getline(file, line))
    if (line.find_first_not_of(" \t\r") != std::string::npos) last = line;
  return report::one_line(last.substr(0, kMost));
}

}  // namespace

Watch::Watch(const experiment::Plan& plan, const StudyUnits& study, fs::path results, experiment::TrialRunner& trials,
             experiment::TrainingRunner& trainings, experiment::Progress& progress)
    : plan_(plan),
      study_(study),
      results_(std::move(results)),
      trials_(trials),
      trainings_(trainings),
      progress_(progress) {
  for (std::string& name : stems_in(results_ / "trials")) seen_.insert(std::move(name));
}

void Watch::await(const Submission& submission, const std::vector<std::size_t>& units) {
  const std::size_t first_array = arrays_.size();
  for (const SubmittedArray& array : submission.arrays) arrays_.push_back({array.name, array.job});
  for (const std::size_t index : units) {
    const SubmittedArray* const array = array_of(submission, index);
    if (array == nullptr) continue;
    const std::size_t place = awaited_.size();
    Awaited one;
    one.unit = submission.units[index];
    one.submission = submission_folder(results_, submission.number);
    one.array = first_array + static_cast<std::size_t>(array - submission.arrays.data());
    one.task = array->first_task + static_cast<int>(index - array->first);
    if (one.unit.kind == UnitKind::once)
      for (const ProcessTask& task : study_.tasks_of(one.unit))
        for (const std::size_t planned : task.cases)
          if (!trials_.is_done(task.arm, planned, task.seed, task.round)) {
            const std::string id = trial_id(plan_, plan_.arms[task.arm], plan_.cases[planned], task.seed, task.round);
            seen_.erase(id);
            by_trial_[id] = place;
            ++one.left;
          }
    by_element_[element_key(array->name, one.task)] = place;
    one.is_over = one.unit.kind == UnitKind::once && one.left == 0;
    if (!one.is_over) {
      ++waiting_;
      ++arrays_[one.array].waiting;
    }
    awaited_.push_back(std::move(one));
  }
}

std::vector<std::string> Watch::live_arrays() const {
  std::vector<std::string> jobs;
  for (const Array& array : arrays_)
    if (array.waiting > 0 && !array.job.empty()) jobs.push_back(array.job);
  return jobs;
}

void Watch::look() {
  const Clock::time_point start = Clock::now();
  take_results();
  if (waiting_ > 0) ask_slurm();
  settle_ended();
  show();
  const auto took = std::chrono::duration_cast<Milliseconds>(Clock::now() - start);
  pause_ = std::clamp(took * kPauseShare, kLeastPause, kMostPause);
}

void Watch::take_results() {
  for (std::string& id : stems_in(results_ / "trials")) {
    if (!seen_.insert(id).second) continue;
    if (const auto found = by_trial_.find(id); found != by_trial_.end())
      static_cast<void>(take_trial(id, awaited_[found->second]));
  }
  std::unordered_set<std::string> trainings;
  for (std::string& id : stems_in(results_ / "training")) trainings.insert(std::move(id));
  for (Awaited& one : awaited_) {
    if (one.is_over) continue;
    if (one.unit.kind == UnitKind::training && trainings.contains(one.unit.training)) {
      if (const auto record = report::read_record(results_, one.unit.training)) {
        report::TrialResult shown;
        shown.arm = one.unit.arm;
        shown.status = record->status;
        shown.reason = record->reason;
        shown.samples = record->samples;
        progress_.start(one.unit.arm, "train", "slurm");
        has_ended_ = true;
        progress_.end(shown, 0);
        end_unit(one);
      }
    } else if (one.unit.kind == UnitKind::round && is_round_there(one.submission, one.unit.round)) {
      take_round(one);
    }
  }
}

bool Watch::take_trial(const std::string& id, Awaited& of) {
  std::optional<report::TrialResult> trial = report::read_trial(results_ / "trials", id);
  if (!trial) {  // seen in the folder, and not there for this machine yet
    seen_.erase(id);
    return false;
  }
  // Its job tries it again, if it is the baseline's, or Slurm starts the job again.
  if (!trial->is_ok() && of.unit.kind == UnitKind::once && !of.ended) {
    seen_.erase(id);
    return false;
  }
  const Clock::time_point now = Clock::now();
  const double seconds = std::chrono::duration<double>(now - std::exchange(last_end_, now)).count();
  std::string where = "slurm";
  if (const auto node = trial->details.find("node"); node != trial->details.end()) where = node->value("name", where);
  progress_.start(trial->arm, report::case_title({trial->workload, trial->case_name}), where);
  has_ended_ = true;
  progress_.end(*trial, seconds);
  trials_.take_row(*std::move(trial));
  if (of.unit.kind == UnitKind::once && of.left > 0 && --of.left == 0) end_unit(of);
  return true;
}

void Watch::take_round(Awaited& of) {
  publish_round(of.submission, of.unit.round, results_);
  bool are_all_seen = true;
  for (const ProcessTask& task : study_.tasks_of(of.unit))
    for (const std::size_t planned : task.cases) {
      const std::string id = trial_id(plan_, plan_.arms[task.arm], plan_.cases[planned], task.seed, task.round);
      if (of.taken.contains(id)) continue;
      if (take_trial(id, of))
        of.taken.insert(id);
      else
        are_all_seen = false;
    }
  if (are_all_seen) end_unit(of);
}

void Watch::end_unit(Awaited& unit) {
  if (std::exchange(unit.is_over, true)) return;
  --waiting_;
  --arrays_[unit.array].waiting;
}

void Watch::ask_slurm() {
  std::vector<std::string> names;
  for (const Array& array : arrays_)
    if (array.waiting > 0) names.push_back(array.name);
  const std::optional<std::vector<JobState>> states = states_of(names);
  if (!states) {
    if (!std::exchange(was_deaf_, true)) progress_.say("warning: Slurm does not answer; waiting until it does");
    return;
  }
  if (std::exchange(was_deaf_, false)) progress_.say("Slurm answers again");
  std::vector<bool> is_alive(awaited_.size());
  running_ = pending_ = 0;
  held_by_.clear();
  for (const JobState& state : *states) {
    const auto found = by_element_.find(element_key(state.name, state.task));
    if (found == by_element_.end() || awaited_[found->second].is_over) continue;
    Awaited& one = awaited_[found->second];
    arrays_[one.array].job = state.array;
    if (state.is_alive()) {
      is_alive[found->second] = true;
      ++(state.is_running() ? running_ : pending_);
      if (!state.is_running() && !is_usual(state.reason)) held_by_ = state.reason;
    }
    one.state = state;
  }
  const Clock::time_point now = Clock::now();
  for (std::size_t index = 0; index < awaited_.size(); ++index) {
    Awaited& one = awaited_[index];
    if (one.is_over) continue;
    if (is_alive[index])
      one.ended.reset();
    else if (!one.ended)
      one.ended = now;
  }
}

void Watch::settle_ended() {
  const Clock::time_point now = Clock::now();
  const auto is_due = [&](const Awaited& one) {
    if (one.is_over || !one.ended) return false;
    const bool may_be_late = !one.state || one.state->is_alive() || one.state->state == "COMPLETED";
    const std::chrono::duration<double> until_seen(plan_.spec.slurm->file_delay);
    return now - *one.ended >= (may_be_late ? until_seen : std::min(until_seen, kUntilSeenOfKilled));
  };
  if (std::ranges::none_of(awaited_, is_due)) return;
  take_results();
  std::vector<Awaited*> due;
  for (Awaited& one : awaited_)
    if (is_due(one)) due.push_back(&one);
  ask_history(due);
  for (Awaited* one : due)
    if (one->unit.kind == UnitKind::training) give_up_training(*one);
  // Where a training has ended badly, that is why its arms were not measured.
  if (!plan_.trainings.empty()) trainings_.take_ended(/*keep_rows=*/false);
  for (Awaited* one : due)
    if (one->unit.kind != UnitKind::training) give_up(*one);
}

// Of those that ended so long ago that Slurm has only accounts of them, if any.
void Watch::ask_history(const std::vector<Awaited*>& due) {
  std::vector<std::string> jobs;
  for (const Awaited* one : due)
    if (const std::string& job = arrays_[one->array].job; !job.empty() && (!one->state || one->state->is_alive()))
      if (std::ranges::find(jobs, job) == jobs.end()) jobs.push_back(job);
  if (jobs.empty()) return;
  std::unordered_map<std::string, JobState> known;
  for (JobState& state : history_of(jobs)) known[element_key(state.array, state.task)] = std::move(state);
  for (Awaited* one : due)
    if (const auto found = known.find(element_key(arrays_[one->array].job, one->task)); found != known.end())
      one->state = found->second;
}

void Watch::give_up_training(Awaited& unit) {
  report::TrainingRecord record;
  record.id = unit.unit.training;
  record.status = status_of(unit);
  record.reason = reason_of(unit);
  record.learning_rate = plan_.trainings[study_.training(unit.unit.training)].rate;
  report::write_atomically(report::record_file(results_, record.id), report::json_text(record));
  progress_.say(fmt::format("{}: {}: {}", unit.unit.title(), record.status, record.reason));
  end_unit(unit);
}

void Watch::give_up(Awaited& unit) {
  const std::string status = status_of(unit), reason = reason_of(unit);
  if (unit.unit.kind == UnitKind::round) {
    rescue_round(unit.submission, unit.unit.round, results_);
    if (is_round_there(unit.submission, unit.unit.round)) take_round(unit);
    if (unit.is_over) return;
  }
  for (ProcessTask task : study_.tasks_of(unit.unit)) {
    std::erase_if(task.cases, [&](std::size_t planned) {
      return trials_.results().contains(
          trial_id(plan_, plan_.arms[task.arm], plan_.cases[planned], task.seed, task.round));
    });
    for (const std::size_t planned : trials_.keep_known_ends(task)) {
      report::TrialResult row = trial_frame(plan_, task.arm, planned, task.seed, task.round);
      row.status = status;
      row.reason = reason;
      progress_.start(row.arm, report::case_title({row.workload, row.case_name}), "slurm");
      has_ended_ = true;
      progress_.end(row, 0);
      trials_.keep_row(row);
      seen_.insert(row.id);
    }
  }
  end_unit(unit);
}

std::string Watch::status_of(const Awaited& unit) {
  return unit.state && unit.state->state == "TIMEOUT" ? "timed_out" : "failed";
}

std::string Watch::reason_of(const Awaited& unit) const {
  if (!unit.state) return "its job has ended without a result, and Slurm does not know it any more";
  std::string text = "slurm: " + unit.state->words();
  if (unit.state->state == "COMPLETED") text += ", without a result";
  const fs::path log = unit.submission / "logs" / fmt::format("{}_{}.log", unit.state->array, unit.state->task);
  if (const std::string said = last_line(log); !said.empty()) text += "; the last that it wrote: " + said;
  return text;
}

void Watch::show() {
  if (waiting_ == 0) return;
  const std::string text =
      fmt::format("{} job{} run{}, {} wait{}{}", running_, running_ == 1 ? "" : "s", running_ == 1 ? "s" : "", pending_,
                  pending_ == 1 ? "s" : "", held_by_.empty() ? "" : " (Slurm: " + held_by_ + ")");
  // What has ended since stands in the place of the line.
  if (std::exchange(has_ended_, false) || text != shown_) progress_.start(text, "", "slurm:");
  shown_ = text;
  progress_.wait();
}

}  // namespace attnlab::cluster
