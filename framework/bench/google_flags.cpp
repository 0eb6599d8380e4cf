#include "bench/google_flags.h"

#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <regex>
#include <sstream>

#include <attnlab/error.h>

namespace attnlab::bench {
namespace {

constexpr std::string_view kPrefix = "--benchmark_";

const std::vector<std::string>& names() {
  static const std::vector<std::string> all{"list_tests",
                                            "filter",
                                            "min_time",
                                            "min_warmup_time",
                                            "repetitions",
                                            "enable_random_interleaving",
                                            "report_aggregates_only",
                                            "display_aggregates_only",
                                            "format",
                                            "out",
                                            "out_format",
                                            "color",
                                            "counters_tabular",
                                            "context",
                                            "perf_counters",
                                            "time_unit"};
  return all;
}

std::string name_of(const std::string& flag) {
  return flag.substr(kPrefix.size(), std::min(flag.find('='), flag.size()) - kPrefix.size());
}

std::string value_of(const std::string& flag) {
  const std::size_t equals = flag.find('=');
  return equals == std::string::npos ? "" : flag.substr(equals + 1);
}

void check_one_of(const std::string& flag, const std::vector<std::string>& choices) {
  if (std::ranges::find(choices, value_of(flag)) == choices.end())
    throw Error("", fmt::format("\"{}\" is not one of {}", flag, fmt::join(choices, ", ")));
}

void check(const std::string& flag) {
  if (!flag.starts_with(kPrefix)) {
    throw Error("", fmt::format("unexpected argument \"{}\"", flag), "attnlab bench --help lists the flags");
  }
  const std::string name = name_of(flag);
  if (std::ranges::find(names(), name) == names().end()) {
    const std::string nearest = nearest_name(name, names());
    throw Error("", fmt::format("unknown flag \"{}{}\"", kPrefix, name),
                nearest.empty() ? fmt::format("known: {}", fmt::join(names(), ", "))
                                : fmt::format("did you mean \"{}{}\"?", kPrefix, nearest));
  }
  if (name == "format" || name == "out_format") check_one_of(flag, {"console", "json", "csv"});
  if (name == "time_unit") check_one_of(flag, {"ns", "us", "ms", "s"});
  if (name == "color" && value_of(flag).empty()) check_one_of(flag, {"auto", "true", "false"});
  if (name == "out" && !std::ofstream(value_of(flag), std::ios::app))
    throw Error(value_of(flag), "the file cannot be written", "name a file in a folder that is there");
  if (name == "filter") try {
      const std::string pattern = value_of(flag);
      (void)std::regex(pattern.starts_with('-') ? pattern.substr(1) : pattern, std::regex::extended);
    } catch (const std::regex_error& error) {
      throw Error("", fmt::format("\"{}\" is no regular expression: {}", flag, error.what()));
    }
}

}  // namespace

GoogleFlags::GoogleFlags(std::vector<std::string> flags) : flags_(std::move(flags)) {
  for (const std::string& flag : flags_) check(flag);
}

std::string GoogleFlags::value(const std::string& name) const {
  std::string value;
  for (const std::string& flag : flags_)
    if (name_of(flag) == name) value = value_of(flag);
  return value;
}

bool GoogleFlags::has(const std::string& name) const {
  return std::ranges::any_of(flags_, [&](const std::string& flag) { return name_of(flag) == name; });
}

bool GoogleFlags::is_set(const std::string& name) const {
  const std::string text = value(name);
  return has(name) && text != "false" && text != "0" && text != "f" && text != "no" && text != "off";
}

void GoogleFlags::set_default(const std::string& name, const std::string& value) {
  if (!has(name)) flags_.push_back(fmt::format("{}{}={}", kPrefix, name, value));
}

void GoogleFlags::initialize() const {
  static std::string program = "attnlab";  // Google Benchmark keeps a pointer to it
  std::vector<std::string> words = flags_;
  std::vector<char*> arguments{program.data()};
  for (std::string& word : words) arguments.push_back(word.data());
  auto count = static_cast<int>(arguments.size());
  // It explains on stderr what is wrong with a value, and leaves the flag among the arguments.
  std::ostringstream said;
  std::streambuf* const usual = std::cerr.rdbuf(said.rdbuf());
  benchmark::Initialize(&count, arguments.data());
  std::cerr.rdbuf(usual);
  if (count > 1)
    throw Error("", fmt::format("wrong value: \"{}\"", arguments[1]), "attnlab bench --help lists the flags");
}

bool GoogleFlags::selects(const std::string& name) const {
  const std::string pattern = value("filter");
  if (pattern.empty() || pattern == "all") return true;
  const bool is_negated = pattern.starts_with('-');
  const std::regex expression(is_negated ? pattern.substr(1) : pattern, std::regex::extended | std::regex::nosubs);
  return std::regex_search(name, expression) != is_negated;
}

}  // namespace attnlab::bench
