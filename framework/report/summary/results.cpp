#include "report/summary/results.h"

#include <algorithm>
#include <set>
#include <string>

#include <attnlab/error.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "report/read/metrics.h"
#include "report/summary/trial_nodes.h"

namespace attnlab::report {
namespace {

namespace fs = std::filesystem;

StudyLayout read_layout(const nlohmann::json& environment, const fs::path& path) {
  try {
    return environment.at("study").get<StudyLayout>();
  } catch (const nlohmann::json::exception& error) {
    throw Error(path.string(), std::string("does not describe a study: ") + error.what(),
                "name a folder that `attnlab run` wrote");
  }
}

// Shares of the roof that was measured beside the trial; where none was, of the best one of the run, which is known
// only at its end. A step that reads less than the caches hold may be faster than memory, so it has no share of the
// bandwidth.
void add_shares(const nlohmann::json& environment, std::vector<TrialResult>& trials) {
  const auto number = [&](const char* pointer) {
    return environment.value(nlohmann::json::json_pointer(pointer), 0.0);
  };
  const double cache = number("/caches/l3_bytes") * kCachesHold;
  for (TrialResult& trial : trials) {
    // Of the run: where the trial has its threads.
    const auto roof = [&](const char* figure) {
      const nlohmann::json::json_pointer pointer(std::string("/roof/") + figure);
      const double beside = trial.details.value(pointer, 0.0);
      if (beside > 0 || trial.details.contains("threads")) return beside;
      return environment.value(pointer, 0.0);
    };
    const double bandwidth = roof("read_bytes_per_second");
    const bool is_f32 = !trial.details.contains("compute");
    const double flops = roof(is_f32 ? "fma_flops_per_second" : "bf16_flops_per_second");
    const std::string_view of_peak = is_f32 ? kShareOfFmaPeak : kShareOfBf16Peak;
    std::vector<Sample> shares;
    for (const Sample& sample : trial.samples) {
      if (sample.metric == kOperationsPerSecond && flops > 0)
        shares.push_back({std::string(of_peak), "share", "higher", sample.value / flops, false});
      if (sample.metric == kBytesPerSecond && bandwidth > 0 && trial.details.value("bytes_per_step", 0.0) > cache)
        shares.push_back({std::string(kShareOfReadBandwidth), "share", "higher", sample.value / bandwidth, false});
    }
    trial.samples.insert(trial.samples.end(), shares.begin(), shares.end());
  }
}

// KL stays what it was measured against.
void choose_baseline(StudyLayout& layout, const std::string& name) {
  std::vector<std::string> names;
  for (const ArmLayout& arm : layout.arms)
    if (arm.refused.empty()) names.push_back(arm.name);
  if (std::ranges::find(names, name) == names.end())
    throw Error("--baseline " + name, "no arm of the run has this name",
                fmt::format("its arms: {}", fmt::join(names, ", ")));
  std::erase(layout.compare_with, name);
  layout.baseline = name;
}

}  // namespace

Results read_results(const fs::path& results_folder, const std::string& baseline) {
  std::error_code ignored;
  if (!fs::is_directory(results_folder, ignored))
    throw Error(results_folder.string(), "is no folder", "name a folder that `attnlab run` wrote");
  const fs::path path = results_folder / "environment.json";
  if (!fs::exists(path, ignored))
    throw Error(results_folder.string(), "has no environment.json", "name a folder that `attnlab run` wrote");
  Results results;
  results.environment = read_json(path);
  StudyLayout layout = read_layout(results.environment, path);
  results.environment.erase("attnlab_seconds");
  results.trials = read_trials(results_folder / "trials");
  if (!layout.trials.empty()) {
    const std::set<std::string> planned(layout.trials.begin(), layout.trials.end());
    std::erase_if(results.trials, [&](const TrialResult& trial) { return !planned.contains(trial.id); });
  }
  for (std::string& sentence : leave_out_other_nodes(results.trials)) layout.warnings.push_back(std::move(sentence));
  add_shares(results.environment, results.trials);
  results.layout = completed(std::move(layout), results.trials);
  if (!baseline.empty()) choose_baseline(results.layout, baseline);
  results.summary = summarise(results.layout, results.trials);
  results.trainings = read_trainings(results_folder, results.layout, results.trials);
  return results;
}

}  // namespace attnlab::report
