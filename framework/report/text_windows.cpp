#include "report/text_windows.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "report/metrics.h"

namespace attnlab::report {
namespace {

constexpr std::array<std::pair<std::string_view, const char*>, 4> kKeyOfMetric = {{
    {kNllPerToken, "nll"},
    {kPerplexity, "nll"},
    {kKlToBaseline, "kl"},
    {kSameTopToken, "same_top"},
}};

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
  const auto key = std::ranges::find(kKeyOfMetric, metric, [](const auto& entry) { return entry.first; });
  if (key == kKeyOfMetric.end() || !trial.details.is_object()) return std::nullopt;
  const auto windows = trial.details.find("windows");
  if (windows == trial.details.end() || !windows->is_object()) return std::nullopt;
  WindowSums figure{.sums = numbers_at(*windows, key->second), .tokens = numbers_at(*windows, "tokens")};
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
