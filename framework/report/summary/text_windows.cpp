#include "report/summary/text_windows.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <nlohmann/json.hpp>

#include "report/read/metrics.h"

namespace attnlab::report {
namespace {

// Where the sums of a metric stand in the details, and what they are sums over.
struct Place {
  std::string_view metric;
  const char* of;
  const char* sums;
  const char* tokens;
};
constexpr std::array kPlaces = {
    Place{kNllPerToken, "windows", "nll", "tokens"},
    Place{kPerplexity, "windows", "nll", "tokens"},
    Place{kKlToBaseline, "windows", "kl", "tokens"},
    Place{kSameTopToken, "windows", "same_top", "tokens"},
    Place{kRecallAccuracy, "examples", "right", "queries"},
    Place{kAnswerAccuracy, "examples", "right", "queries"},
    Place{kAnswerAccuracyBySum, "examples", "right_by_sum", "queries"},
    Place{kTokenAccuracy, "asked", "right", "tokens"},
};

// Trials write NaN as a string; what is no array of numbers has no interval.
std::vector<double> numbers_at(const nlohmann::json& windows, const char* key) {
  std::vector<double> numbers;
  const auto found = windows.find(key);
  if (found == windows.end() || !found->is_array()) return numbers;
  for (const nlohmann::json& entry : *found) {
    if (!entry.is_number() || !std::isfinite(entry.get<double>())) return {};
    numbers.push_back(entry.get<double>());
  }
  return numbers;
}

}  // namespace

std::optional<WindowSums> window_sums(const TrialResult& trial, std::string_view metric) {
  const auto place = std::ranges::find(kPlaces, metric, &Place::metric);
  if (place == kPlaces.end() || !trial.details.is_object()) return std::nullopt;
  const auto windows = trial.details.find(place->of);
  if (windows == trial.details.end() || !windows->is_object()) return std::nullopt;
  WindowSums figure{.sums = numbers_at(*windows, place->sums), .tokens = numbers_at(*windows, place->tokens)};
  if (figure.sums.empty() || figure.sums.size() != figure.tokens.size()) return std::nullopt;
  return figure;
}

namespace {

const char* unit_of(const std::string& key) {
  return key == "nll" || key == "kl" ? "nats" : "";
}

const char* direction_of(const std::string& key) {
  if (key == "nll" || key == "kl") return "lower";
  return key == "same_top" || key == "right" || key == "right_by_sum" ? "higher" : "none";
}

// All figures under `of`, whose parts have `count` tokens or queries each.
void add_values(std::vector<WindowValue>& values, const nlohmann::json& details, const char* of, const char* count,
                const std::string& prefix) {
  const auto parts = details.find(of);
  if (parts == details.end() || !parts->is_object()) return;
  const std::vector<double> tokens = numbers_at(*parts, count);
  for (const auto& [key, ignored] : parts->items()) {
    const std::vector<double> sums = numbers_at(*parts, key.c_str());
    if (key == count || sums.empty() || sums.size() != tokens.size()) continue;
    for (std::size_t i = 0; i < sums.size(); ++i)
      values.push_back({.metric = prefix + key,
                        .unit = unit_of(key),
                        .better = direction_of(key),
                        .window = i,
                        .sum = sums[i],
                        .tokens = tokens[i]});
  }
}

}  // namespace

std::vector<WindowValue> window_values(const TrialResult& trial) {
  std::vector<WindowValue> values;
  if (!trial.details.is_object()) return values;
  add_values(values, trial.details, "windows", "tokens", "window_");
  add_values(values, trial.details, "examples", "queries", "example_");
  add_values(values, trial.details, "asked", "tokens", "asked_");
  return values;
}

}  // namespace attnlab::report
