#include "report/read/trial_result.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <system_error>
#include <utility>

#include <nlohmann/json.hpp>

#include <attnlab/error.h>

#include "report/read/text_file.h"

namespace attnlab::report {
namespace {

namespace fs = std::filesystem;

// Raised when a reader of today could not make sense of the file any more; new keys do not need it.
constexpr int kFormat = 1;

// JSON has no NaN and no infinity.
nlohmann::json json_of(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  return value;
}

double number_of(const nlohmann::json& json) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (json == "nan") return std::numeric_limits<double>::quiet_NaN();
  if (json == "inf") return kInfinity;
  if (json == "-inf") return -kInfinity;
  return json.get<double>();
}

Sample sample_of(const nlohmann::json& json) {
  Sample sample;
  sample.metric = json.at("metric");
  sample.unit = json.value("unit", "");
  sample.better = json.value("better", "none");
  sample.value = number_of(json.at("value"));
  sample.is_deterministic = json.value("deterministic", false);
  if (sample.better != "higher" && sample.better != "lower" && sample.better != "none")
    throw Error("", "metric " + sample.metric + ": better is '" + sample.better + "'", "higher, lower or none");
  return sample;
}

}  // namespace

void to_json(nlohmann::json& json, const TrialResult& trial) {
  nlohmann::json samples = nlohmann::json::array();
  for (const Sample& sample : trial.samples)
    samples.push_back({{"metric", sample.metric},
                       {"unit", sample.unit},
                       {"better", sample.better},
                       {"value", json_of(sample.value)},
                       {"deterministic", sample.is_deterministic}});
  json = {{"format", kFormat},          {"id", trial.id},
          {"arm", trial.arm},           {"attention", trial.attention},
          {"position", trial.position}, {"cache", trial.cache},
          {"workload", trial.workload}, {"case", trial.case_name},
          {"round", trial.round},       {"seed", trial.seed},
          {"status", trial.status},     {"reason", trial.reason},
          {"samples", samples},         {"details", trial.details}};
}

void from_json(const nlohmann::json& json, TrialResult& trial) {
  if (const int format = json.value("format", kFormat); format > kFormat)
    throw Error(
        "", "the file has format " + std::to_string(format) + ", this program reads up to " + std::to_string(kFormat),
        "use the AttnLab that wrote it, or a newer one");
  trial = {};
  json.at("id").get_to(trial.id);
  json.at("arm").get_to(trial.arm);
  trial.attention = json.value("attention", "");
  trial.position = json.value("position", "");
  trial.cache = json.value("cache", "");
  json.at("workload").get_to(trial.workload);
  trial.case_name = json.value("case", "");
  json.at("round").get_to(trial.round);
  trial.seed = json.value("seed", std::int64_t{0});
  json.at("status").get_to(trial.status);
  trial.reason = json.value("reason", "");
  for (const nlohmann::json& sample : json.at("samples")) trial.samples.push_back(sample_of(sample));
  trial.details = json.value("details", nlohmann::json::object());
}

std::string json_text(const nlohmann::json& json) {
  return json.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

void write_trial(const fs::path& folder, const TrialResult& trial) {
  ATTNLAB_CHECK(!trial.id.empty() && trial.id.find('/') == std::string::npos, "a trial's id is a file name");
  write_atomically(folder / (trial.id + ".json"), json_text(trial));
}

nlohmann::json read_json(const fs::path& path) {
  const std::string text = read_text(path);
  try {
    return nlohmann::json::parse(text);
  } catch (const nlohmann::json::exception& error) {
    throw Error(path.string(), std::string("is damaged: ") + error.what(), "remove it and run again");
  }
}

namespace {

TrialResult read_one(const fs::path& path) {
  try {
    return read_json(path).get<TrialResult>();
  } catch (const nlohmann::json::exception& error) {
    throw Error(path.string(), std::string("is no trial result: ") + error.what(), "remove it and run again");
  } catch (const Error& error) {
    Problem problem = error.problems().front();
    if (problem.where.empty()) problem.where = path.string();
    throw Error(problem);
  }
}

}  // namespace

std::optional<TrialResult> read_trial(const fs::path& folder, const std::string& id) {
  const fs::path path = folder / (id + ".json");
  std::error_code none;
  if (!fs::exists(path, none)) return std::nullopt;
  return read_one(path);
}

std::vector<TrialResult> read_trials(const fs::path& folder) {
  std::vector<fs::path> paths;
  std::error_code failure;
  for (fs::directory_iterator entry(folder, failure), end; !failure && entry != end; entry.increment(failure))
    if (entry->path().extension() == ".json") paths.push_back(entry->path());
  if (failure)
    throw Error(folder.string(), "cannot be read: " + failure.message(), "name a folder that `attnlab run` wrote");
  std::ranges::sort(paths);

  std::vector<TrialResult> trials;
  for (const fs::path& path : paths) trials.push_back(read_one(path));
  std::ranges::stable_sort(trials, {}, [](const TrialResult& trial) { return std::pair(trial.round, trial.seed); });
  return trials;
}

}  // namespace attnlab::report
