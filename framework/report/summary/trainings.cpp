#include "report/summary/trainings.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include <nlohmann/json.hpp>

#include "report/read/metrics.h"
#include "report/statistics/statistics.h"

namespace attnlab::report {
namespace {

namespace fs = std::filesystem;

std::optional<double> sample_of(const Training& training, std::string_view metric) {
  if (!training.record) return std::nullopt;
  const auto found = std::ranges::find(training.record->samples, metric, &Sample::metric);
  return found == training.record->samples.end() ? std::nullopt : std::optional(found->value);
}

std::vector<HeldOutPoint> read_held_out(const fs::path& file) {
  const std::vector<CurvePoint> points = read_curve(file);
  const std::vector<double> accuracies = read_column(file, kAccuracyOfHeldOut);  // may have grown since
  std::vector<HeldOutPoint> found;
  for (std::size_t i = 0; i < std::min(points.size(), accuracies.size()); ++i)
    found.push_back({points[i].step, points[i].loss, accuracies[i]});
  return found;
}

// What the trials of workload `train` say that their arms keep.
std::set<std::string> kept_ids(const std::vector<TrialResult>& trials) {
  std::set<std::string> ids;
  for (const TrialResult& trial : trials) {
    if (trial.workload != kTrain || !trial.details.is_object()) continue;
    const auto training = trial.details.find("training");
    if (training == trial.details.end() || !training->is_object()) continue;
    if (const auto id = training->find("id"); id != training->end() && id->is_string()) ids.insert(*id);
  }
  return ids;
}

}  // namespace

std::string Training::status() const {
  if (record) return record->status;
  return curve.empty() ? "waiting" : "running";
}

std::vector<CurvePoint> thinned(const std::vector<CurvePoint>& curve, std::int64_t steps_a_point) {
  std::vector<CurvePoint> points;
  std::int64_t block = -1, first = 0, last = 0;
  double sum = 0;
  int count = 0;
  const auto end_block = [&] {
    if (count > 0) points.push_back({(first + last) / 2, sum / count});
    sum = 0;
    count = 0;
  };
  for (const CurvePoint& point : curve) {
    const std::int64_t own = (std::max<std::int64_t>(point.step, 1) - 1) / std::max<std::int64_t>(steps_a_point, 1);
    if (own != block) end_block();
    block = own;
    if (count == 0) first = point.step;
    last = point.step;
    sum += point.loss;
    ++count;
  }
  end_block();
  return points;
}

Trainings read_trainings(const fs::path& results, const StudyLayout& layout, const std::vector<TrialResult>& trials) {
  Trainings trainings;
  const std::set<std::string> kept = kept_ids(trials);
  std::int64_t longest = 0;
  for (const TrainingLayout& planned : layout.trainings) {
    Training training{.layout = planned, .is_kept = kept.contains(planned.id)};
    const fs::path file = curve_file(results, planned.id);
    training.curve = read_curve(file);
    training.held_out = read_held_out(held_out_file(results, planned.id));
    training.record = read_record(results, planned.id);
    if (!training.curve.empty()) training.steps = training.curve.back().step;
    if (const std::vector<double> seconds = read_column(file, kSecondsOfCurve); !seconds.empty())
      training.seconds = std::isfinite(seconds.back()) ? seconds.back() : 0;
    training.steps = static_cast<std::int64_t>(sample_of(training, kTrainSteps).value_or(training.steps));
    training.seconds = sample_of(training, kTrainSeconds).value_or(training.seconds);
    longest = std::max({longest, planned.steps, training.steps});
    trainings.all.push_back(std::move(training));
  }
  trainings.steps_a_point = std::max<std::int64_t>(1, (longest + kMostCurvePoints - 1) / kMostCurvePoints);
  for (Training& training : trainings.all) training.curve = thinned(training.curve, trainings.steps_a_point);
  return trainings;
}

std::vector<TrainingGroup> training_groups(const Trainings& trainings) {
  std::vector<TrainingGroup> groups;
  for (const Training& training : trainings.all) {
    const TrainingLayout& layout = training.layout;
    auto group = std::ranges::find_if(groups, [&](const TrainingGroup& one) {
      return one.arms == layout.arms && one.learning_rate == layout.learning_rate;
    });
    if (group == groups.end())
      group = groups.insert(group, {layout.arms, layout.learning_rate, layout.is_searched, false, {}});
    group->is_kept |= training.is_kept;
    group->seeds.push_back(&training);
  }
  return groups;
}

std::vector<TrainingGroup> shown_groups(const Trainings& trainings) {
  const std::vector<TrainingGroup> all = training_groups(trainings);
  std::vector<TrainingGroup> shown;
  for (const TrainingGroup& group : all)
    if (group.is_kept || std::ranges::none_of(all, [&](const TrainingGroup& other) {
          return other.is_kept && other.arms == group.arms;
        }))
      shown.push_back(group);
  return shown;
}

std::vector<CurvePoint> median_curve(const TrainingGroup& group) {
  std::vector<CurvePoint> points;
  if (group.seeds.size() < 2) return points;
  std::size_t shortest = std::numeric_limits<std::size_t>::max();
  for (const Training* training : group.seeds) shortest = std::min(shortest, training->curve.size());
  for (std::size_t i = 0; i < shortest; ++i) {
    std::vector<double> losses;
    std::int64_t step = 0;
    for (const Training* training : group.seeds) {
      losses.push_back(training->curve[i].loss);
      step = std::max(step, training->curve[i].step);
    }
    points.push_back({step, median(losses)});
  }
  return points;
}

std::vector<RateSearch> rate_searches(const Trainings& trainings) {
  std::vector<RateSearch> searches;
  for (const TrainingGroup& group : training_groups(trainings)) {
    if (!group.is_searched) continue;
    auto search = std::ranges::find(searches, group.arms, &RateSearch::arms);
    if (search == searches.end()) search = searches.insert(search, {group.arms, {}});
    TriedRate rate{
        .learning_rate = group.learning_rate, .seeds = static_cast<int>(group.seeds.size()), .is_kept = group.is_kept};
    double sum = 0;
    int count = 0;
    for (const Training* training : group.seeds) {
      const std::string status = training->status();
      rate.diverged += status == "diverged";
      if (!training->has_ended() || status == "diverged") continue;
      ++(status == "ok" ? rate.ended_well : rate.failed);
      const std::optional<double> loss = sample_of(*training, kValidationLoss);
      if (status != "ok" || !loss) continue;
      sum += *loss;
      ++count;
    }
    if (count > 0) rate.validation_loss = sum / count;
    search->rates.push_back(rate);
  }
  for (RateSearch& search : searches) std::ranges::stable_sort(search.rates, {}, &TriedRate::learning_rate);
  return searches;
}

}  // namespace attnlab::report
