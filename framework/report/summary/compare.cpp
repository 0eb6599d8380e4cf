#include "report/summary/compare.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <tuple>

#include <fmt/format.h>
#include <boost/math/distributions/students_t.hpp>
#include <nlohmann/json.hpp>

#include "report/read/format.h"
#include "report/read/metrics.h"
#include "report/statistics/paired_seeds.h"
#include "report/summary/comparable_inputs.h"
#include "report/summary/text_windows.h"
#include "report/summary/verdict_table.h"

namespace attnlab::report {
namespace {

constexpr double kCovered = 0.95;  // by all intervals of a comparison at once
// Of a loss, which comes from logits in single precision: another order of additions is no change.
constexpr double kRounding = 1e-6;

using RoundAndSeed = std::pair<int, std::int64_t>;
using CaseKey = std::tuple<std::string, std::string, std::string>;  // arm, workload, case

// One metric of one arm in one case of one run.
struct Series {
  std::string unit, better;
  bool is_deterministic = true;
  std::map<RoundAndSeed, std::vector<double>> samples;
  WindowSums windows;  // of the text, or examples of recall: sums over all seeds

  // What was sampled more than once in a round counts with its median: the process is the unit.
  [[nodiscard]] std::vector<double> values() const {
    std::vector<double> all;
    for (const auto& [key, values] : samples) all.push_back(median(values));
    return all;
  }
  // One value a seed: the median of its rounds.
  [[nodiscard]] std::map<std::int64_t, double> of_seeds() const {
    std::map<std::int64_t, std::vector<double>> all;
    for (const auto& [key, values] : samples) all[key.second].push_back(median(values));
    std::map<std::int64_t, double> seeds;
    for (const auto& [seed, values] : all) seeds[seed] = median(values);
    return seeds;
  }
  // The same in every round, for each seed.
  [[nodiscard]] bool is_exact() const {
    std::map<std::int64_t, double> of_seed;
    for (const auto& [key, values] : samples)
      for (const double value : values)
        if (const double first = of_seed.try_emplace(key.second, value).first->second;
            first != value && !(std::isnan(first) && std::isnan(value)))
          return false;
    return is_deterministic;
  }
};

struct Cell {
  std::map<std::string, Series> series;
  std::string failure;     // of the first trial that did not end well
  std::string no_verdict;  // why the figures may be compared with none; empty: they may
};

void add_to(std::vector<double>& sums, const std::vector<double>& values) {
  if (sums.empty()) sums.resize(values.size());
  for (std::size_t i = 0; i < std::min(sums.size(), values.size()); ++i) sums[i] += values[i];
}

std::map<CaseKey, Cell> cells_of(const Results& results) {
  std::map<CaseKey, Cell> cells;
  for (const TrialResult& trial : results.trials) {
    Cell& cell = cells[{trial.arm, trial.workload, trial.case_name}];
    if (!trial.is_ok() && cell.failure.empty()) cell.failure = status_text(trial);
    if (const std::vector<std::string> reasons = detail_strings(trial, "no_verdict"); !reasons.empty())
      cell.no_verdict = one_line(reasons.front());
    for (const Sample& sample : trial.samples) {
      Series& series = cell.series[sample.metric];
      series.unit = sample.unit;
      series.better = sample.better;
      series.is_deterministic &= sample.is_deterministic;
      series.samples[{trial.round, trial.seed}].push_back(sample.value);
      if (const std::optional<WindowSums> figure = window_sums(trial, sample.metric)) {
        add_to(series.windows.sums, figure->sums);
        add_to(series.windows.tokens, figure->tokens);
      }
    }
  }
  return cells;
}

// An estimate of log(B / A), before it is known how many of them there are.
struct LogRatio {
  double value = 0;
  double error = 0;  // standard error
  double freedom = 1;
};

struct Moments {
  double mean = 0;
  double error2 = 0;  // squared standard error of the mean
};

Moments moments(const std::vector<double>& values) {
  const auto n = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return {mean, squares / (n - 1) / n};
}

bool all_positive(const std::vector<double>& values) {
  return std::ranges::all_of(values, [](double value) { return std::isfinite(value) && value > 0; });
}

// Welch (1947): the two runs may differ in their noise as well.
std::optional<LogRatio> welch(std::vector<double> a, std::vector<double> b) {
  if (a.size() < 2 || b.size() < 2 || !all_positive(a) || !all_positive(b)) return std::nullopt;
  for (std::vector<double>* values : {&a, &b})
    for (double& value : *values) value = std::log(value);
  const Moments of_a = moments(a), of_b = moments(b);
  const double error2 = of_a.error2 + of_b.error2;
  const double parts = of_a.error2 * of_a.error2 / static_cast<double>(a.size() - 1) +
                       of_b.error2 * of_b.error2 / static_cast<double>(b.size() - 1);
  return LogRatio{of_b.mean - of_a.mean, std::sqrt(error2), parts > 0 ? error2 * error2 / parts : 1};
}

// The same windows of text in both runs: each is left out once (the jackknife), so that what the two have in common,
// the difficulty of a window, takes no part in the error.
template <class Statistic>
LogRatio jackknife(const std::vector<double>& a, const std::vector<double>& b, const std::vector<double>& tokens,
                   const Statistic& log_ratio) {
  const double sum_a = std::accumulate(a.begin(), a.end(), 0.0);
  const double sum_b = std::accumulate(b.begin(), b.end(), 0.0);
  const double all = std::accumulate(tokens.begin(), tokens.end(), 0.0);
  std::vector<double> without;
  for (std::size_t i = 0; i < a.size(); ++i) without.push_back(log_ratio(sum_a - a[i], sum_b - b[i], all - tokens[i]));
  const auto n = static_cast<double>(a.size());
  return {log_ratio(sum_a, sum_b, all), std::sqrt(moments(without).error2) * (n - 1), n - 1};
}

std::optional<LogRatio> over_windows(const std::string& metric, const WindowSums& a, const WindowSums& b) {
  if (a.tokens != b.tokens || a.sums.size() < kLeastWindows) return std::nullopt;
  const LogRatio found =
      metric == kPerplexity
          ? jackknife(a.sums, b.sums, a.tokens, [](double x, double y, double tokens) { return (y - x) / tokens; })
          : jackknife(a.sums, b.sums, a.tokens, [](double x, double y, double) { return std::log(y / x); });
  if (!std::isfinite(found.value) || !std::isfinite(found.error)) return std::nullopt;
  return found;
}

// Seeds that both runs have, as pairs; with how many there are.
std::pair<std::optional<LogRatio>, int> over_seeds(const std::map<std::int64_t, double>& a,
                                                   const std::map<std::int64_t, double>& b) {
  std::vector<double> logs;
  int pairs = 0;
  for (const auto& [seed, value] : a) {
    const auto other = b.find(seed);
    if (other == b.end()) continue;
    ++pairs;
    if (all_positive({value, other->second})) logs.push_back(std::log(other->second / value));
  }
  if (pairs < kLeastSeedsForMarks || static_cast<int>(logs.size()) < pairs) return {std::nullopt, pairs};
  const Moments of_logs = moments(logs);
  return {LogRatio{of_logs.mean, std::sqrt(of_logs.error2), static_cast<double>(pairs - 1)}, pairs};
}

// Whether the seeds that both have say that one is larger, by their differences.
bool differ_by_seed(const std::map<std::int64_t, double>& a, const std::map<std::int64_t, double>& b) {
  std::vector<double> differences;
  for (const auto& [seed, value] : a)
    if (const auto other = b.find(seed); other != b.end()) differences.push_back(other->second - value);
  const Moments found = moments(differences);
  const double error = std::sqrt(found.error2);
  if (!std::isfinite(found.mean) || !std::isfinite(error)) return false;
  if (error == 0) return found.mean != 0;
  const boost::math::students_t_distribution<double> student(static_cast<double>(differences.size() - 1));
  return std::abs(found.mean) / error > boost::math::quantile(boost::math::complement(student, (1 - kCovered) / 2));
}

Interval interval_of(const LogRatio& found, int intervals) {
  const boost::math::students_t_distribution<double> student(found.freedom);
  const double beyond = (1 - kCovered) / 2 / intervals;
  const double reach = boost::math::quantile(boost::math::complement(student, beyond)) * found.error;
  return {std::exp(found.value - reach), std::exp(found.value + reach), kCovered};
}

std::optional<double> plain_ratio(double a, double b) {
  if (a < 0 || b < 0 || std::isnan(a) || std::isnan(b) || (std::isinf(a) && std::isinf(b))) return std::nullopt;
  if (a == 0 && b == 0) return 1.0;
  return b / a;
}

bool is_rounding(const ComparedRow& row) {
  const double size = std::max({1.0, std::abs(row.a), std::abs(row.b)});
  return is_quality(row.metric) && std::abs(row.a - row.b) <= kRounding * size;
}

// What the whole interval says; exact figures are their own interval.
Change change_of(const ComparedRow& row) {
  if (row.is_exact && (row.a == row.b || (std::isnan(row.a) && std::isnan(row.b)))) return Change::none;
  const auto [low, high] = row.interval ? std::pair(row.interval->low, row.interval->high)
                                        : std::pair(row.ratio.value_or(1), row.ratio.value_or(1));
  if (row.is_exact && !row.ratio) {  // one of the two is no number
    if (row.better == "none" || std::isnan(row.a) == std::isnan(row.b)) return Change::different;
    return std::isnan(row.b) ? Change::worse : Change::better;
  }
  if (is_rounding(row) || (!row.is_exact && !row.interval) || (low <= 1 && high >= 1)) return Change::unclear;
  if (row.better == "none") return Change::different;
  return (low > 1) == (row.better == "higher") ? Change::better : Change::worse;
}

class Comparer {
 public:
  Comparer(const Results& a, const Results& b)
      : a_(a), b_(b), inputs_(a.layout, b.layout), cells_a_(cells_of(a)), cells_b_(cells_of(b)) {}

  Comparison run() {
    for (const CaseLayout& entry : a_.layout.cases)
      for (const ArmLayout& arm : a_.layout.arms) add_cell(arm.name, entry);
    for (std::size_t i = 0; i < comparison_.rows.size(); ++i) {
      ComparedRow& row = comparison_.rows[i];
      for (const LogRatio& found : found_[i]) {
        const Interval interval = interval_of(found, comparison_.intervals);
        row.interval = row.interval ? hull_of(*row.interval, interval) : interval;
      }
      row.change = row.why_not.empty() ? change_of(row) : Change::not_comparable;
    }
    comparison_.inputs = inputs_.differences();
    list_unmatched();
    warn();
    return std::move(comparison_);
  }

 private:
  void add_cell(const std::string& arm, const CaseLayout& entry) {
    const CaseKey key{arm, entry.workload, entry.case_name};
    const auto of_a = cells_a_.find(key), of_b = cells_b_.find(key);
    if (of_a == cells_a_.end() || of_b == cells_b_.end()) return;
    if (of_a->second.failure.empty() && !of_b->second.failure.empty())
      comparison_.broken.push_back(fmt::format("{}, {}: {}", arm, case_title(entry), of_b->second.failure));
    for (const Cell* cell : {&of_a->second, &of_b->second})
      if (!cell->no_verdict.empty()) {
        comparison_.warnings.push_back(
            fmt::format("{}, {}: not compared: {}", arm, case_title(entry), cell->no_verdict));
        break;
      }
    std::vector<std::string> metrics;
    for (const auto& [metric, series] : of_a->second.series)
      if (of_b->second.series.contains(metric)) metrics.push_back(metric);
    std::ranges::stable_sort(metrics, {}, [](const std::string& metric) { return metric_rank(metric); });
    for (const std::string& metric : metrics) add_row(arm, entry, metric, of_a->second, of_b->second);
  }

  void add_row(const std::string& arm, const CaseLayout& entry, const std::string& metric, const Cell& cell_a,
               const Cell& cell_b) {
    const Series &series_a = cell_a.series.at(metric), &series_b = cell_b.series.at(metric);
    const std::vector<double> a = series_a.values(), b = series_b.values();
    ComparedRow row{.arm = arm, .entry = entry, .metric = metric, .unit = series_b.unit, .better = series_b.better};
    row.a = median(a);
    row.b = median(b);
    row.n_a = static_cast<int>(a.size());
    row.n_b = static_cast<int>(b.size());
    row.is_exact = series_a.is_exact() && series_b.is_exact();
    row.why_not = inputs_.why_not(entry, metric);
    if (row.why_not.empty() && !(cell_a.no_verdict.empty() && cell_b.no_verdict.empty())) row.why_not = "no verdict";
    if (row.why_not.empty() && is_quality(metric) && has_other_windows(cell_a, cell_b))
      row.why_not = "other windows of the text";
    if (!row.why_not.empty()) {
      comparison_.rows.push_back(std::move(row));
      found_.emplace_back();
      return;
    }
    row.ratio = plain_ratio(row.a, row.b);
    const bool is_training = entry.workload == kTrain;
    std::vector<LogRatio> found;
    if (const std::optional<LogRatio> one =
            row.is_exact ? over_windows(metric, series_a.windows, series_b.windows) : welch(a, b);
        one && !is_training)
      found.push_back(*one);
    if (is_training || (is_quality(metric) && (a_.layout.trains() || b_.layout.trains())))
      add_seeds(row, series_a, series_b, is_training, found);
    // A share is a rate by the roof of its own run; what is to be compared is the rate.
    if (is_share_of_roof(metric)) found.clear();
    if (!found.empty()) {
      row.ratio = std::exp(found.front().value);
      ++comparison_.intervals;
    }
    comparison_.rows.push_back(std::move(row));
    found_.push_back(std::move(found));
  }

  // Of what the seed decides too: figures that are not the same differ by chance, until enough seeds say otherwise.
  static void add_seeds(ComparedRow& row, const Series& a, const Series& b, bool is_training,
                        std::vector<LogRatio>& found) {
    const std::map<std::int64_t, double> mine = a.of_seeds(), theirs = b.of_seeds();
    row.is_exact = row.is_exact && mine == theirs;
    if (row.is_exact) return found.clear();
    const auto& [seeds, pairs] = over_seeds(mine, theirs);
    // Of figures at 0 or below a ratio says nothing: a difference of all seeds is then compared as what is exact.
    if (!seeds && pairs >= kLeastSeedsForMarks && differ_by_seed(mine, theirs)) {
      row.is_exact = true;
      return found.clear();
    }
    const bool is_whole = seeds && (is_training || !found.empty());
    if (!is_whole) found.clear();
    if (pairs < kLeastSeedsForMarks) row.few_seeds = pairs;
    if (is_whole) found.push_back(*seeds);
  }

  static bool has_other_windows(const Cell& a, const Cell& b) {
    return std::ranges::any_of(a.series, [&](const auto& item) {
      const auto other = b.series.find(item.first);
      if (other == b.series.end()) return false;
      const std::vector<double>&mine = item.second.windows.tokens, &theirs = other->second.windows.tokens;
      return !mine.empty() && !theirs.empty() && mine != theirs;
    });
  }

  void list_unmatched() {
    list_unmatched(a_, b_, cells_a_, cells_b_, comparison_.only_a);
    list_unmatched(b_, a_, cells_b_, cells_a_, comparison_.only_b);
  }

  static void list_unmatched(const Results& mine, const Results& theirs, const std::map<CaseKey, Cell>& my_cells,
                             const std::map<CaseKey, Cell>& their_cells, std::vector<std::string>& only) {
    const auto has_arm = [](const Results& results, const std::string& name) {
      return std::ranges::find(results.layout.arms, name, &ArmLayout::name) != results.layout.arms.end();
    };
    const auto has_case = [](const Results& results, const CaseLayout& entry) {
      return std::ranges::find(results.layout.cases, entry) != results.layout.cases.end();
    };
    for (const ArmLayout& arm : mine.layout.arms)
      if (!has_arm(theirs, arm.name)) only.push_back("arm " + arm.name);
    for (const CaseLayout& entry : mine.layout.cases)
      if (!has_case(theirs, entry)) only.push_back("case " + case_title(entry));
    std::map<std::string, int> metrics;
    for (const auto& [key, cell] : my_cells) {
      const auto& [arm, workload, case_name] = key;
      if (!has_arm(theirs, arm) || !has_case(theirs, {workload, case_name})) continue;
      const auto other = their_cells.find(key);
      for (const auto& [metric, series] : cell.series)
        if (other == their_cells.end() || !other->second.series.contains(metric)) ++metrics[metric];
    }
    for (const auto& [metric, count] : metrics)
      only.push_back(count == 1 ? metric + " of 1 arm and case"
                                : fmt::format("{} of {} arms and cases", metric, count));
  }

  void warn() {
    const auto compare_field = [&](const char* name, const char* pointer) {
      const nlohmann::json::json_pointer at(pointer);
      const nlohmann::json none;
      const nlohmann::json& a = a_.environment.contains(at) ? a_.environment.at(at) : none;
      const nlohmann::json& b = b_.environment.contains(at) ? b_.environment.at(at) : none;
      if (a == b) return;
      const auto text = [](const nlohmann::json& value) {
        return value.is_null() ? std::string("not known") : value.is_string() ? value.get<std::string>() : value.dump();
      };
      comparison_.warnings.push_back(fmt::format("{}: {} in A, {} in B", name, text(a), text(b)));
    };
    compare_field("processor", "/cpu");
    compare_field("cores", "/logical_cores");
    compare_field("instruction set of the kernels", "/simd_target");
    compare_field("threads", "/threads");
    compare_field("kernel", "/kernel");
    compare_field("compiler", "/build/compiler");
    compare_field("build type", "/build/build_type");
    compare_field("libraries", "/build/libraries");
    compare_field("revision of AttnLab", "/build/git_revision");
    if (a_.layout.seeds != b_.layout.seeds)
      comparison_.warnings.push_back(
          fmt::format("seeds: {} in A, {} in B", fmt::join(a_.layout.seeds, " "), fmt::join(b_.layout.seeds, " ")));
    for (const ArmLayout& arm : a_.layout.arms) {
      const auto other = std::ranges::find(b_.layout.arms, arm.name, &ArmLayout::name);
      if (other != b_.layout.arms.end() && other->resolved != arm.resolved)
        comparison_.warnings.push_back(fmt::format("arm {} has other options in B", arm.name));
    }
  }

  const Results &a_, &b_;
  const ComparableInputs inputs_;
  std::map<CaseKey, Cell> cells_a_, cells_b_;
  std::vector<std::vector<LogRatio>> found_;  // by row: what its interval holds
  Comparison comparison_;
};

}  // namespace

bool ComparedRow::is_regression(double beyond) const {
  if (change != Change::worse) return false;
  if (!ratio) return true;  // no number where there was one
  const double low = interval ? interval->low : *ratio;
  const double high = interval ? interval->high : *ratio;
  return better == "lower" ? low > 1 + beyond : high < 1 - beyond;
}

bool Comparison::has_regression(double beyond) const {
  return !broken.empty() ||
         std::ranges::any_of(rows, [&](const ComparedRow& row) { return row.is_regression(beyond); });
}

bool Comparison::has_compared() const {
  return std::ranges::any_of(rows, [](const ComparedRow& row) { return row.why_not.empty(); });
}

Comparison compare(const Results& a, const Results& b) {
  return Comparer(a, b).run();
}

}  // namespace attnlab::report
