#include "report/summary.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <tuple>

#include <fmt/format.h>

#include "report/block_bootstrap.h"
#include "report/example_shares.h"
#include "report/format.h"
#include "report/metrics.h"
#include "report/paired_ratios.h"
#include "report/text_windows.h"
#include "report/verdict_table.h"

namespace attnlab::report {
namespace {

bool is_same(double a, double b) {
  return a == b || (std::isnan(a) && std::isnan(b));
}

// All good trials of one metric of one arm in one case.
struct Series {
  std::string unit, better;
  bool is_deterministic = true;
  std::map<PairKey, std::vector<double>> samples;
  std::map<std::int64_t, WindowSums> windows;  // by seed

  // The trial is the unit: what was sampled more than once in it counts with its median.
  [[nodiscard]] PairedValues pairs() const {
    PairedValues pairs;
    for (const auto& [key, values] : samples) pairs[key] = median(values);
    return pairs;
  }

  // The same in every round of a seed.
  [[nodiscard]] bool is_steady() const {
    const PairedValues all = pairs();
    return std::ranges::all_of(all, [&](const auto& entry) {
      return is_same(entry.second, all.lower_bound({entry.first.seed, std::numeric_limits<int>::min()})->second);
    });
  }

  [[nodiscard]] bool counts_once() const { return is_deterministic && is_steady(); }

  // What counts once, once for each seed, whichever round it is from.
  [[nodiscard]] PairedValues once() const {
    PairedValues seeds;
    for (const auto& [key, value] : pairs()) seeds.try_emplace({key.seed, 0}, value);
    return seeds;
  }

  // Every seed's windows; nothing where one has none, or not as many as the others.
  [[nodiscard]] std::vector<WindowSums> text() const {
    std::vector<WindowSums> seeds;
    for (const auto& [seed, figure] : windows) seeds.push_back(figure);
    const bool is_whole = seeds.size() == once().size() && std::ranges::all_of(seeds, [&](const WindowSums& figure) {
                            return figure.sums.size() == seeds.front().sums.size();
                          });
    return is_whole ? seeds : std::vector<WindowSums>();
  }
};

using Trials = std::vector<const TrialResult*>;

struct Cell {
  std::vector<std::string> metrics;  // in the order of the tables
  std::map<std::string, Series> series;
  std::string no_verdict;  // of the first that has none
  bool evicted_nothing = false;
  int failed = 0;
  std::string failure;  // of the first that failed
};

Cell collect(const Trials& trials) {
  Cell cell;
  for (const TrialResult* trial : trials) {
    if (!trial->is_ok()) {
      if (cell.failed++ == 0) cell.failure = status_text(*trial);
      continue;
    }
    if (const std::vector<std::string> reasons = detail_strings(*trial, "no_verdict"); cell.no_verdict.empty())
      cell.no_verdict = reasons.empty() ? "" : one_line(reasons.front());
    cell.evicted_nothing |= trial->details.is_object() && trial->details.value("evicted_nothing", false);
    for (const Sample& sample : trial->samples) {
      Series& series = cell.series[sample.metric];
      if (series.samples.empty()) cell.metrics.push_back(sample.metric);
      series.unit = sample.unit;
      series.better = sample.better;
      series.is_deterministic &= sample.is_deterministic;
      series.samples[{trial->seed, trial->round}].push_back(sample.value);
      if (series.windows.contains(trial->seed)) continue;
      if (std::optional<WindowSums> figure = window_sums(*trial, sample.metric))
        series.windows[trial->seed] = std::move(*figure);
    }
  }
  std::ranges::stable_sort(cell.metrics, {}, [](const std::string& metric) { return metric_rank(metric); });
  return cell;
}

bool has_same_windows(const std::vector<WindowSums>& mine, const std::vector<WindowSums>& theirs) {
  return !theirs.empty() && mine.size() == theirs.size() &&
         std::ranges::equal(mine, theirs, {}, &WindowSums::tokens, &WindowSums::tokens);
}

// Of all seeds, one after the other.
WindowSums joined(const std::vector<WindowSums>& seeds) {
  WindowSums all;
  for (const WindowSums& seed : seeds) {
    all.sums.insert(all.sums.end(), seed.sums.begin(), seed.sums.end());
    all.tokens.insert(all.tokens.end(), seed.tokens.begin(), seed.tokens.end());
  }
  return all;
}

class Summariser {
 public:
  Summariser(const StudyLayout& layout, const std::vector<TrialResult>& trials) : layout_(layout) {
    std::map<Key, Trials> groups;
    for (const TrialResult& trial : trials) groups[{trial.arm, trial.workload, trial.case_name}].push_back(&trial);
    for (const auto& [key, group] : groups) cells_[key] = collect(group);
  }

  Summary run() {
    for (const ArmLayout& arm : layout_.arms) {
      if (!arm.refused.empty()) {
        add_status(arm, {}, "refused: " + one_line(arm.refused), 0);
        continue;
      }
      add_cell(arm, {});  // what went wrong before any case
      for (const CaseLayout& entry : layout_.cases) add_cell(arm, entry);
    }
    for (const CaseLayout& entry : layout_.cases) compare(entry);
    return std::move(summary_);
  }

 private:
  using Key = std::tuple<std::string, std::string, std::string>;  // arm, workload, case

  // The rows of one metric of one case, and what they were made from.
  struct Compared {
    std::vector<SummaryRow*> rows;
    std::vector<const Series*> series;
  };

  [[nodiscard]] SummaryRow row_of(const ArmLayout& arm, const CaseLayout& entry) const {
    SummaryRow row;
    row.arm = arm.name;
    row.is_baseline = arm.name == layout_.baseline;
    row.attention = arm.attention;
    row.position = arm.position;
    row.cache = arm.cache;
    row.workload = entry.workload;
    row.case_name = entry.case_name;
    return row;
  }

  void add_status(const ArmLayout& arm, const CaseLayout& entry, const std::string& status, int rounds) {
    SummaryRow row = row_of(arm, entry);
    row.estimate.n = rounds;
    row.status = status;
    summary_.rows.push_back(std::move(row));
  }

  void add_cell(const ArmLayout& arm, const CaseLayout& entry) {
    const auto found = cells_.find({arm.name, entry.workload, entry.case_name});
    if (found == cells_.end()) return;
    const Cell& cell = found->second;
    for (const std::string& metric : cell.metrics) {
      SummaryRow row = row_of(arm, entry);
      row.metric = metric;
      row.no_verdict = cell.no_verdict;
      row.evicted_nothing = cell.evicted_nothing;
      add_figures(row, cell.series.at(metric));
      summary_.rows.push_back(std::move(row));
    }
    if (cell.failed > 0) add_status(arm, entry, cell.failure, cell.failure.starts_with("refused") ? 0 : cell.failed);
  }

  void add_figures(SummaryRow& row, const Series& series) {
    row.unit = series.unit;
    row.better = series.better;
    if (series.is_deterministic && !series.is_steady())
      warn(row, "was said to be the same in every round, but differs: treat it with suspicion");
    const PairedValues pairs = series.pairs();
    if ((row.metric == kShareOfFmaPeak || row.metric == kShareOfReadBandwidth) &&
        std::ranges::any_of(pairs, [](const auto& entry) { return entry.second > 1; }))
      warn(row, "is above 100 %: the roof was measured too low, so no share of it is valid");

    row.over_seeds = spread_over_seeds(pairs);
    if (!series.counts_once()) {
      row.estimate = estimate_over_seeds(pairs);
      return;
    }
    const PairedValues once = series.once();
    row.estimate = {static_cast<int>(once.size()), median_over_seeds(once), std::nullopt};
    const std::vector<WindowSums> text = series.text();
    if (row.metric == kRecallAccuracy) {
      if (!text.empty()) row.estimate.interval = share_interval(joined(text));
      return;
    }
    if (text.empty() || text.front().sums.size() < kLeastWindows) return;
    row.estimate.interval = bootstrap(text.front().sums.size()).interval(text);
    if (row.metric == kPerplexity) {
      row.estimate.interval->low = std::exp(row.estimate.interval->low);
      row.estimate.interval->high = std::exp(row.estimate.interval->high);
    }
  }

  // Ratios of all arms to the baseline, metric by metric.
  void compare(const CaseLayout& entry) {
    const auto baseline = cells_.find({layout_.baseline, entry.workload, entry.case_name});
    if (baseline == cells_.end() || !baseline->second.no_verdict.empty()) return;
    for (const std::string& metric : baseline->second.metrics) {
      if (metric == kTokensScored) continue;  // how much was looked at is no outcome
      const Series& theirs = baseline->second.series.at(metric);
      Compared once;
      Compared varying;
      for (SummaryRow& row : summary_.rows) {
        if (row.workload != entry.workload || row.case_name != entry.case_name || row.metric != metric) continue;
        if (!row.no_verdict.empty()) continue;
        const Series& mine = cells_.at({row.arm, entry.workload, entry.case_name}).series.at(metric);
        Compared& compared = mine.counts_once() && theirs.counts_once() ? once : varying;
        compared.rows.push_back(&row);
        compared.series.push_back(&mine);
      }
      compare_rounds(varying, theirs);
      compare_texts(once, theirs);
    }
  }

  void compare_rounds(const Compared& compared, const Series& baseline) {
    std::vector<SummaryRow*> rows;
    std::vector<PairedValues> pairs;
    const PairedValues theirs = baseline.pairs();
    for (std::size_t i = 0; i < compared.rows.size(); ++i) {
      if (compared.rows[i]->is_baseline) {
        compared.rows[i]->ratio = to_itself(compared.rows[i]->estimate.n);
        continue;
      }
      rows.push_back(compared.rows[i]);
      pairs.push_back(compared.series[i]->pairs());
    }
    const std::vector<std::optional<Estimate>> ratios = paired_ratios(theirs, pairs);
    int most = 0;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      rows[i]->ratio = ratios[i];
      if (ratios[i]) most = std::max(most, ratios[i]->n);
    }
    add_family(rows, most, kLeastRoundsForMarks, false);
  }

  void compare_texts(const Compared& compared, const Series& baseline) {
    const std::vector<WindowSums> theirs = baseline.text();
    std::vector<SummaryRow*> rows;
    std::vector<std::vector<WindowSums>> texts;
    for (std::size_t i = 0; i < compared.rows.size(); ++i) {
      SummaryRow& row = *compared.rows[i];
      const PairedValues once = compared.series[i]->once();
      row.ratio = paired_ratios(baseline.once(), std::span(&once, 1)).front();
      if (row.ratio) row.ratio->interval.reset();  // seeds are no rounds: their spread is in over_seeds
      std::vector<WindowSums> text = compared.series[i]->text();
      if (!row.ratio || row.is_baseline || !has_same_windows(text, theirs)) continue;
      rows.push_back(&row);
      texts.push_back(std::move(text));
    }
    if (rows.empty()) return;
    if (rows.front()->metric == kRecallAccuracy) return compare_examples(rows, texts, joined(theirs));
    const std::size_t windows = theirs.front().sums.size();
    if (windows >= kLeastWindows) {
      const RatioOf kind = rows.front()->metric == kPerplexity ? RatioOf::perplexities : RatioOf::means;
      const std::vector<std::optional<Interval>> intervals = bootstrap(windows).ratio_intervals(theirs, texts, kind);
      for (std::size_t i = 0; i < rows.size(); ++i) rows[i]->ratio->interval = intervals[i];
    }
    add_family(rows, static_cast<int>(windows), kLeastWindows, true);
  }

  void compare_examples(const std::vector<SummaryRow*>& rows, const std::vector<std::vector<WindowSums>>& examples,
                        const WindowSums& theirs) {
    for (std::size_t i = 0; i < rows.size(); ++i)
      rows[i]->ratio->interval = share_ratio_interval(theirs, joined(examples[i]), static_cast<int>(rows.size()));
    add_family(rows, static_cast<int>(theirs.sums.size()), kLeastExamples, false, true);
  }

  void add_family(const std::vector<SummaryRow*>& rows, int rounds, int rounds_needed, bool is_of_text,
                  bool is_of_examples = false) {
    const auto compared = std::ranges::count_if(rows, [](const SummaryRow* row) { return row->ratio.has_value(); });
    if (compared == 0) return;
    for (SummaryRow* row : rows) {
      if (!row->ratio || !row->ratio->interval) continue;
      const Interval& interval = *row->ratio->interval;
      row->is_marked = interval.is_confident() && (interval.low > 1 || interval.high < 1);
    }
    summary_.families.push_back({.workload = rows.front()->workload,
                                 .case_name = rows.front()->case_name,
                                 .metric = rows.front()->metric,
                                 .arms = static_cast<int>(compared),
                                 .rounds = rounds,
                                 .rounds_needed = rounds_needed,
                                 .is_of_text = is_of_text,
                                 .is_of_examples = is_of_examples});
  }

  static Estimate to_itself(int n) { return {n, 1, n > 1 ? std::optional(Interval{1, 1, 1}) : std::nullopt}; }

  const BlockBootstrap& bootstrap(std::size_t windows) {
    return bootstraps_.try_emplace(windows, windows).first->second;
  }

  void warn(const SummaryRow& row, const std::string& what) {
    summary_.warnings.push_back(
        fmt::format("{}, {}: {} {}", row.arm, case_title({row.workload, row.case_name}), row.metric, what));
  }

  const StudyLayout& layout_;
  std::map<Key, Cell> cells_;
  std::map<std::size_t, BlockBootstrap> bootstraps_;  // by windows
  Summary summary_;
};

}  // namespace

std::string status_text(const TrialResult& trial) {
  return one_line(trial.reason.empty() ? trial.status : trial.status + ": " + trial.reason);
}

Summary summarise(const StudyLayout& layout, const std::vector<TrialResult>& trials) {
  return Summariser(layout, trials).run();
}

}  // namespace attnlab::report
