#include "report/summary/verdict_table.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "report/read/format.h"

namespace attnlab::report {
namespace {

using Rows = std::vector<const SummaryRow*>;

void add_once(std::vector<std::string>& notes, const std::string& note) {
  if (!note.empty() && std::ranges::find(notes, note) == notes.end()) notes.push_back(note);
}

template <class Format>
std::string interval_text(const Estimate& estimate, const Format& format) {
  if (!estimate.interval || estimate.interval->low == estimate.interval->high) return {};
  const std::string low = format(estimate.interval->low);
  const std::string high = format(estimate.interval->high);
  if (!estimate.interval->is_confident()) return fmt::format("({} to {})", low, high);
  return fmt::format("[{}, {}]{}", low, high, estimate.interval->is_of_slices ? " of slices" : "");
}

VerdictCell cell_of(const SummaryRow& row, bool is_baseline) {
  VerdictCell cell;
  cell.value = format_value(row.estimate.median, row.unit);
  cell.interval = interval_text(row.estimate, [&](double value) { return format_value(value, row.unit); });
  if (row.ratio && !is_baseline) {
    cell.ratio = format_ratio(row.ratio->median);
    cell.ratio_interval = interval_text(*row.ratio, [](double ratio) { return fmt::format("{:.3f}", ratio); });
    cell.is_marked = row.is_marked;
    cell.is_unstable = row.is_unstable;
  } else if (row.difference) {
    const auto signed_value = [](double value) { return fmt::format("{:+.3g}", value); };
    cell.ratio = "Δ " + signed_value(row.difference->median);
    cell.ratio_interval = interval_text(*row.difference, signed_value);
    cell.is_marked = row.is_marked;
  }
  return cell;
}

std::vector<std::string> columns_of(const Rows& rows, Headline least) {
  std::vector<std::string> all;
  for (const SummaryRow* row : rows)
    if (row->is_ok()) add_once(all, row->metric);
  std::ranges::stable_sort(all, {}, [](const std::string& metric) { return metric_rank(metric); });
  std::vector<std::string> columns;
  for (const std::string& metric : all)
    if (const std::size_t rank = metric_rank(metric);
        rank < standard_metrics().size() && standard_metrics()[rank].headline >= least)
      columns.push_back(metric);
  return columns.empty() ? all : columns;
}

std::string heading_of(const std::string& metric, const Rows& rows) {
  std::string heading(metric_heading(metric));
  const auto row = std::ranges::find(rows, metric, &SummaryRow::metric);
  if ((*row)->better == "higher") heading += " ↑";
  if ((*row)->better == "lower") heading += " ↓";
  return heading;
}

VerdictRow row_of(const ArmLayout& arm, const Rows& rows, const std::vector<std::string>& columns, bool is_baseline) {
  VerdictRow verdict{.arm = arm.name, .cells = std::vector<VerdictCell>(columns.size())};
  if (is_baseline) verdict.notes.push_back("baseline");
  for (const SummaryRow* row : rows) {
    const auto column = std::ranges::find(columns, row->metric);
    if (!row->is_ok())
      add_once(verdict.notes, row->estimate.n > 0
                                  ? fmt::format("{} ({}: {})", row->status,
                                                row->workload == kTrain ? "seeds" : "rounds", row->estimate.n)
                                  : row->status);
    else if (column != columns.end())
      verdict.cells[static_cast<std::size_t>(column - columns.begin())] = cell_of(*row, is_baseline);
    if (row->evicted_nothing) add_once(verdict.notes, "evicted nothing");
    if (!row->no_verdict.empty()) add_once(verdict.notes, "no verdict: " + row->no_verdict);
    if (row->over_seeds && (row->metric == kPerplexity || is_share_of_answers(row->metric)) &&
        row->over_seeds->low != row->over_seeds->high)  // the others have their own table in report.md
      add_once(verdict.notes, fmt::format("over seeds {}: {} to {}", metric_heading(row->metric),
                                          format_value(row->over_seeds->low, row->unit),
                                          format_value(row->over_seeds->high, row->unit)));
  }
  return verdict;
}

}  // namespace

std::vector<FurtherLine> further_lines(const Results& results, Headline least) {
  std::vector<FurtherLine> lines;
  for (const FurtherRatio& further : results.summary.further) {
    const SummaryRow& row = results.summary.rows[further.row];
    const std::size_t rank = metric_rank(row.metric);
    if (rank < standard_metrics().size() && standard_metrics()[rank].headline < least) continue;
    VerdictCell cell;
    cell.ratio = format_ratio(further.ratio.median);
    cell.ratio_interval = interval_text(further.ratio, [](double ratio) { return fmt::format("{:.3f}", ratio); });
    cell.is_marked = further.is_marked;
    cell.is_unstable = further.is_unstable;
    lines.push_back({further.reference, row.arm, case_title({row.workload, row.case_name}),
                     heading_of(row.metric, {&row}), std::move(cell)});
  }
  return lines;
}

std::vector<std::string> detail_strings(const TrialResult& trial, const char* key) {
  std::vector<std::string> strings;
  if (!trial.details.is_object()) return strings;
  const auto found = trial.details.find(key);
  if (found == trial.details.end()) return strings;
  if (found->is_string()) strings.push_back(*found);
  if (found->is_array())
    for (const nlohmann::json& entry : *found)
      if (entry.is_string()) strings.push_back(entry);
  return strings;
}

std::vector<VerdictTable> verdict_tables(const Results& results, Headline least) {
  using CaseKey = std::pair<std::string, std::string>;
  std::map<CaseKey, Rows> rows_of_case;
  for (const SummaryRow& row : results.summary.rows) rows_of_case[{row.workload, row.case_name}].push_back(&row);
  std::map<std::pair<std::string, CaseKey>, std::vector<std::string>> notes;
  for (const TrialResult& trial : results.trials)
    for (const std::string& note : detail_strings(trial, "notes"))
      add_once(notes[{trial.arm, {trial.workload, trial.case_name}}], note);

  std::vector<VerdictTable> tables;
  for (const CaseLayout& entry : results.layout.cases) {
    const CaseKey key{entry.workload, entry.case_name};
    const Rows& rows = rows_of_case[key];
    if (rows.empty()) continue;
    const std::vector<std::string> columns = columns_of(rows, least);
    VerdictTable table{.entry = entry};
    for (const std::string& metric : columns) table.headings.push_back(heading_of(metric, rows));
    for (const ArmLayout& arm : results.layout.arms) {
      Rows mine;
      std::ranges::copy_if(rows, std::back_inserter(mine), [&](const SummaryRow* row) { return row->arm == arm.name; });
      if (mine.empty()) continue;
      table.rows.push_back(row_of(arm, mine, columns, arm.name == results.layout.baseline));
      for (const std::string& note : arm.notes) add_once(table.rows.back().notes, note);
      for (const std::string& note : notes[{arm.name, key}]) add_once(table.rows.back().notes, note);
    }
    tables.push_back(std::move(table));
  }
  return tables;
}

}  // namespace attnlab::report
