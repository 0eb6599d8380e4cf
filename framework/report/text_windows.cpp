#include "report/text_windows.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "report/metrics.h"

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
    Place{kNllPerToken, "windows", "nll", "tokens"},        Place{kPerplexity, "windows", "nll", "tokens"},
    Place{kKlToBaseline, "windows", "kl", "tokens"},        Place{kSameTopToken, "windows", "same_top", "tokens"},
    Place{kRecallAccuracy, "examples", "right", "queries"},
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

std::vector<WindowValue> window_values(const TrialResult& trial) {
  std::vector<WindowValue> values;
  if (!trial.details.is_object()) return values;
  const auto windows = trial.details.find("windows");
  if (windows == trial.details.end() || !windows->is_object()) return values;
  const std::vector<double> tokens = numbers_at(*windows, "tokens");
  for (const auto& [key, ignored] : windows->items()) {
    const std::vector<double> sums = numbers_at(*windows, key.c_str());
    if (key == "tokens" || sums.empty() || sums.size() != tokens.size()) continue;
    const bool is_loss = key == "nll" || key == "kl";
    for (std::size_t i = 0; i < sums.size(); ++i)
      values.push_back({.metric = "window_" + key,
                        .unit = is_loss ? "nats" : "",
                        .better = is_loss             ? "lower"
                                  : key == "same_top" ? "higher"
                                                      : "none",
                        .window = i,
                        .sum = sums[i],
                        .tokens = tokens[i]});
  }
  return values;
}

}  // namespace attnlab::report
