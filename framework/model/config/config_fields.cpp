#include "model/config/config_fields.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "model/checkpoints/strict_json.h"

namespace attnlab::model {
namespace {

// JSON's two integer types as one, and 64.0, as some exporters write it; nothing if the value is no whole number or
// beyond any count.
std::optional<std::int64_t> whole_number(const nlohmann::json& value) {
  if (value.is_number_float()) {
    const auto number = value.get<double>();
    if (number != std::floor(number) || std::abs(number) > 9e15) return std::nullopt;
    return static_cast<std::int64_t>(number);
  }
  if (!value.is_number_integer()) return std::nullopt;
  if (value.is_number_unsigned() && value.get<std::uint64_t>() > INT64_MAX) return INT64_MAX;
  return value.get<std::int64_t>();
}

}  // namespace

const NumberRule kPositive{[](double value) { return value > 0; }, "a number greater than 0"};
const NumberRule kNotNegative{[](double value) { return value >= 0; }, "a number of at least 0"};
const NumberRule kAtLeastOne{[](double value) { return value >= 1; }, "a number of at least 1"};
const NumberRule kShare{[](double value) { return value > 0 && value <= 1; }, "a number greater than 0 and at most 1"};

ConfigFields::ConfigFields(std::span<const ConfigEntry> entries, std::string prefix, std::string where,
                           std::vector<Problem>& problems,
                           std::span<const std::pair<std::string, std::string>> spellings)
    : entries_(entries),
      prefix_(std::move(prefix)),
      where_(std::move(where)),
      problems_(problems),
      spellings_(spellings) {}

// Where the family's own name says nothing, the usual one may.
std::string_view ConfigFields::spelled(std::string_view key) const {
  const auto own = std::ranges::find(spellings_, key, &std::pair<std::string, std::string>::first);
  if (own == spellings_.end()) return key;
  const ConfigEntry* const by_own = entry_named(own->second);
  const bool is_usual = (by_own == nullptr || by_own->value.is_null()) && entry_named(key) != nullptr;
  return is_usual ? key : std::string_view(own->second);
}

const ConfigEntry* ConfigFields::entry_named(std::string_view name) const {
  const auto found = std::ranges::find(entries_, name, &ConfigEntry::key);
  return found == entries_.end() ? nullptr : &*found;
}

const ConfigEntry* ConfigFields::entry(std::string_view key) const {
  return entry_named(spelled(key));
}

bool ConfigFields::has(std::string_view key) const {
  const ConfigEntry* const found = entry(key);
  return found != nullptr && !found->value.is_null();
}

std::string ConfigFields::where(std::string_view key) const {
  const ConfigEntry* const found = entry(key);
  return found == nullptr ? where_ : found->where;
}

void ConfigFields::problem(std::string_view key, const std::string& what, std::string remedy) const {
  problems_.push_back({where(key), fmt::format("{}{}{}", prefix_, spelled(key), what), std::move(remedy)});
}

int ConfigFields::count(std::string_view key, int absent, int least, int most) const {
  if (!has(key)) return absent;
  const nlohmann::json& value = entry(key)->value;
  const std::optional<std::int64_t> number = whole_number(value);
  if (number && *number >= least && *number <= most) return static_cast<int>(*number);
  problem(key, fmt::format(": {} is {}", shown(value), number ? "out of range" : "no whole number"),
          fmt::format("give a whole number from {} to {}", least, most));
  return 0;
}

int ConfigFields::known_count(std::string_view key, int most) const {
  if (!has(key)) return 0;
  const std::optional<std::int64_t> number = whole_number(entry(key)->value);
  return number && *number >= 1 && *number <= most ? static_cast<int>(*number) : 0;
}

int ConfigFields::required_count(std::string_view key, int most) const {
  if (has(key)) return count(key, 0, 1, most);
  problem(key, " is missing", fmt::format("give a whole number from 1 to {}", most));
  return 0;
}

bool ConfigFields::flag(std::string_view key, bool absent) const {
  if (!has(key)) return absent;
  const nlohmann::json& value = entry(key)->value;
  if (value.is_boolean()) return value.get<bool>();
  problem(key, fmt::format(": {} is neither true nor false", shown(value)), "give true or false");
  return absent;
}

std::optional<double> ConfigFields::optional_number(std::string_view key, const NumberRule& rule) const {
  if (!has(key)) return std::nullopt;
  const nlohmann::json& value = entry(key)->value;
  if (value.is_number()) {
    const auto number = value.get<double>();
    if (std::isfinite(number) && rule.holds(number)) return number;
  }
  problem(key, fmt::format(": {} is {}", shown(value), value.is_number() ? "out of range" : "no number"),
          fmt::format("give {}", rule.wanted));
  return std::nullopt;
}

double ConfigFields::number(std::string_view key, double absent, const NumberRule& rule) const {
  return optional_number(key, rule).value_or(absent);
}

std::optional<double> ConfigFields::required_number(std::string_view key, const NumberRule& rule) const {
  if (!has(key)) problem(key, " is missing", fmt::format("give {}", rule.wanted));
  return optional_number(key, rule);
}

std::optional<std::string> ConfigFields::text(std::string_view key) const {
  if (!has(key)) return std::nullopt;
  const nlohmann::json& value = entry(key)->value;
  if (value.is_string()) return value.get<std::string>();
  problem(key, fmt::format(": {} is no text", shown(value)), "give a name");
  return std::nullopt;
}

std::vector<double> ConfigFields::positive_list(std::string_view key) const {
  const ConfigEntry* const found = entry(key);
  if (found == nullptr || !found->value.is_array()) {
    problem(key, found == nullptr ? " is missing" : fmt::format(": {} is no list", shown(found->value)),
            "give a list of numbers greater than 0");
    return {};
  }
  std::vector<double> numbers;
  for (const nlohmann::json& value : found->value) {
    const double number = value.is_number() ? value.get<double>() : 0.0;
    if (std::isfinite(number) && number > 0) {
      numbers.push_back(number);
      continue;
    }
    problem(key, fmt::format("[{}]: {} is no number greater than 0", numbers.size(), shown(value)),
            "give a list of numbers greater than 0");
    return {};
  }
  return numbers;
}

void ConfigFields::refuse_unknown(const std::vector<std::string>& allowed, const std::string& of) const {
  for (const ConfigEntry& given : entries_) {
    if (std::ranges::find(allowed, given.key) != allowed.end()) continue;
    const std::string nearest = nearest_name(given.key, allowed);
    problems_.push_back({given.where, fmt::format("{}{}: unknown key of {}", prefix_, given.key, of),
                         nearest.empty() ? fmt::format("known are {}", fmt::join(allowed, ", "))
                                         : fmt::format("did you mean {}?", nearest)});
  }
}

}  // namespace attnlab::model
