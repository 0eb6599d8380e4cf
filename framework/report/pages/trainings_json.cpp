#include "report/pages/trainings_json.h"

#include <cmath>
#include <string>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "report/pages/training_words.h"

namespace attnlab::report {
namespace {

using Json = nlohmann::ordered_json;

Json drawn(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  return std::stod(fmt::format("{:.6g}", value));
}

Json curve_json(const std::vector<CurvePoint>& curve) {
  Json steps = Json::array(), losses = Json::array();
  for (const CurvePoint& point : curve) {
    steps.push_back(point.step);
    losses.push_back(drawn(point.loss));
  }
  return {{"steps", steps}, {"loss", losses}};
}

Json held_out_json(const std::vector<HeldOutPoint>& points) {
  Json steps = Json::array(), losses = Json::array(), accuracies = Json::array();
  bool has_accuracy = false;
  for (const HeldOutPoint& point : points) {
    steps.push_back(point.step);
    losses.push_back(drawn(point.loss));
    accuracies.push_back(drawn(point.accuracy));
    has_accuracy |= !std::isnan(point.accuracy);
  }
  Json json = {{"steps", steps}, {"loss", losses}};
  if (has_accuracy) json["accuracy"] = accuracies;
  return json;
}

Json run_json(const Training& training) {
  const TrainingLayout& layout = training.layout;
  Json json = {
      {"id", layout.id}, {"arms", layout.arms}, {"seed", layout.seed}, {"learning_rate", layout.learning_rate}};
  if (layout.is_searched) json["searched"] = true;
  json["parameters"] = layout.parameters;
  if (layout.steps > 0) json["planned_steps"] = layout.steps;
  json["status"] = training.status();
  if (training.record && !training.record->reason.empty()) json["reason"] = training.record->reason;
  if (training.record && training.record->stopped_early) json["stopped_early"] = true;
  if (training.is_kept) json["kept"] = true;
  json["steps"] = training.steps;
  json["seconds"] = training.seconds;
  json["curve"] = curve_json(training.curve);
  if (!training.held_out.empty()) json["held_out"] = held_out_json(training.held_out);
  return json;
}

Json medians_json(const Trainings& trainings) {
  Json all = Json::array();
  for (const TrainingGroup& group : training_groups(trainings)) {
    const std::vector<CurvePoint> median = median_curve(group);
    if (median.empty()) continue;
    Json json = {{"arms", group.arms}, {"learning_rate", group.learning_rate}};
    if (group.is_kept) json["kept"] = true;
    json.update(curve_json(median));
    all.push_back(std::move(json));
  }
  return all;
}

Json search_json(const Trainings& trainings) {
  Json all = Json::array();
  for (const RateSearch& search : rate_searches(trainings)) {
    Json rates = Json::array();
    for (const TriedRate& rate : search.rates) {
      Json json = {{"learning_rate", rate.learning_rate}};
      if (rate.validation_loss) json["validation_loss"] = *rate.validation_loss;
      json["seeds"] = rate.seeds;
      json["ended_well"] = rate.ended_well;
      if (rate.diverged > 0) json["diverged"] = rate.diverged;
      if (rate.failed > 0) json["failed"] = rate.failed;
      if (rate.is_kept) json["kept"] = true;
      rates.push_back(std::move(json));
    }
    all.push_back({{"arms", search.arms}, {"rates", rates}});
  }
  return all;
}

}  // namespace

Json trainings_json(const Results& results) {
  if (results.trainings.all.empty()) return nullptr;
  Json runs = Json::array();
  for (const Training& training : results.trainings.all) runs.push_back(run_json(training));
  return {{"progress", training_progress(results)},
          {"steps_a_point", results.trainings.steps_a_point},
          {"runs", runs},
          {"medians", medians_json(results.trainings)},
          {"search", search_json(results.trainings)}};
}

}  // namespace attnlab::report
