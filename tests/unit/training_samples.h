// A results folder of a study that trains: "mha" with a whole and a short cache, which share their trainings, and
// "linear". Each is trained with some seeds and three learning rates, of which the middle one is kept and the greatest
// diverges with seed 2. What the files hold is written out as the formats say, not by the product's writers.
#pragma once

#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "unit/report_samples.h"

namespace attnlab::report::test {

inline constexpr int kTrainedSteps = 1000;
inline constexpr double kRates[] = {0.001, 0.003, 0.01};

inline std::string training_id(const std::string& attention, int rate, int seed) {
  return fmt::format("{}-{}-{}", attention, rate, seed);
}

/// What held-out data cost at the end: linear is worse by 0.2 nats, seeds differ by hundredths.
inline double validation_loss(const std::string& attention, int rate, int seed) {
  return (attention == "linear" ? 1.2 : 1.0) + (rate == 1 ? 0.0 : 0.3) + 0.01 * (seed * 7 % 5);
}

inline std::string curve_text(int steps, double end, bool ends_in_nan = false) {
  std::string text = "step,loss,gradient_norm,learning_rate,tokens,seconds\n";
  for (int step = 1; step <= steps; ++step) {
    const double loss = end + 4 * std::exp(-step / 100.0);
    const bool is_nan = ends_in_nan && step > steps - 10;
    text +=
        fmt::format("{},{},0.5,0.001,{},{}\n", step, is_nan ? "nan" : fmt::format("{}", loss), 64 * step, 0.01 * step);
  }
  return text;
}

inline void write_curve(const std::filesystem::path& results, const std::string& id, const std::string& curve,
                        double end) {
  std::filesystem::create_directories(results / "training");
  write_plainly(results / "training" / (id + ".csv"), curve);
  write_plainly(results / "training" / (id + ".held-out.csv"),
                fmt::format("step,loss,accuracy\n500,{},0.5\n1000,{},0.75\n", end + 0.5, end));
}

inline nlohmann::json sample_json(const std::string& metric, const std::string& unit, const std::string& better,
                                  double value) {
  return {{"metric", metric}, {"unit", unit}, {"better", better}, {"value", value}, {"deterministic", true}};
}

inline void write_record(const std::filesystem::path& results, const std::string& id, double rate, double loss,
                         const std::string& status = "ok", const std::string& reason = "") {
  nlohmann::json samples = nlohmann::json::array();
  if (status == "ok")
    samples = {sample_json("validation_loss", "nats", "lower", loss),
               sample_json("train_steps", "", "none", kTrainedSteps), sample_json("train_seconds", "s", "lower", 12)};
  const nlohmann::json trial = {{"id", id},
                                {"arm", ""},
                                {"workload", "train"},
                                {"round", 0},
                                {"status", "ok"},
                                {"samples", samples},
                                {"details", nlohmann::json::object()}};
  write_plainly(results / "training" / (id + ".json"), nlohmann::json{{"id", id},
                                                                      {"status", status},
                                                                      {"reason", reason},
                                                                      {"learning_rate", rate},
                                                                      {"stopped_early", false},
                                                                      {"trial", trial}}
                                                           .dump());
}

inline const CaseLayout kTrainCase{"train", "recall steps1000"};

inline TrialResult train_trial(const ArmLayout& arm, int seed, double loss) {
  TrialResult result = trial(arm, 0,
                             {{"validation_loss", "nats", "lower", loss, true},
                              {"accuracy", "share", "higher", 1.5 - loss / 2, true},
                              {"train_seconds", "s", "lower", 12 + 0.1 * seed, false}});
  result.id += fmt::format("-train-{}", seed);
  result.workload = kTrainCase.workload;
  result.case_name = kTrainCase.case_name;
  result.seed = seed;
  result.details["training"] = {{"id", training_id(arm.attention, 1, seed)},
                                {"learning_rate", kRates[1]},
                                {"parameters", 12345},
                                {"stopped_early", false}};
  return result;
}

inline std::vector<ArmLayout> trained_arms() {
  return {arm("mha"), arm("mha", "short"), arm("linear")};
}

/// Planned, with as many seeds from 1 on.
inline StudyLayout trained_study(int seeds) {
  StudyLayout study = layout(trained_arms());
  study.name = "trained";
  study.cases = {kTrainCase, {"speed", "q512"}};
  study.rounds = 1;
  for (int seed = 1; seed <= seeds; ++seed) {
    study.seeds.push_back(seed);
    for (const char* attention : {"mha", "linear"})
      for (int rate = 0; rate < 3; ++rate) {
        std::vector<std::string> arms;
        for (const ArmLayout& one : study.arms)
          if (one.attention == attention) arms.push_back(one.name);
        study.trainings.push_back({.id = training_id(attention, rate, seed),
                                   .arms = arms,
                                   .seed = seed,
                                   .learning_rate = kRates[rate],
                                   .is_searched = true,
                                   .parameters = 12345,
                                   .steps = kTrainedSteps});
      }
  }
  return study;
}

/// The trials of the study: its trainings, and the bytes of each arm's cache.
inline std::vector<TrialResult> trained_trials(int seeds) {
  std::vector<TrialResult> trials;
  for (int seed = 1; seed <= seeds; ++seed)
    for (const ArmLayout& one : trained_arms()) {
      trials.push_back(train_trial(one, seed, validation_loss(one.attention, 1, seed)));
      trials.push_back(trial(one, 0, {kv_bytes(one.cache == "short" ? 1000 : 4000)}));
      trials.back().id += fmt::format("-{}", seed);
      trials.back().seed = seed;
    }
  return trials;
}

/// All of it, as a run leaves it at its end.
inline void write_trained(const std::filesystem::path& results, int seeds) {
  std::filesystem::create_directories(results / "trials");
  write_plainly(results / "environment.json",
                nlohmann::json{{"cpu", "Test CPU"}, {"study", trained_study(seeds)}}.dump());
  for (const TrialResult& one : trained_trials(seeds)) write_trial(results / "trials", one);
  for (int seed = 1; seed <= seeds; ++seed)
    for (const char* attention : {"mha", "linear"})
      for (int rate = 0; rate < 3; ++rate) {
        const std::string id = training_id(attention, rate, seed);
        const double loss = validation_loss(attention, rate, seed);
        const bool diverges = rate == 2 && seed == 2;
        write_curve(results, id, curve_text(diverges ? 400 : kTrainedSteps, loss, diverges), loss);
        if (diverges)
          write_record(results, id, kRates[rate], loss, "diverged", "the loss of step 391 is no number");
        else
          write_record(results, id, kRates[rate], loss);
      }
}

}  // namespace attnlab::report::test
