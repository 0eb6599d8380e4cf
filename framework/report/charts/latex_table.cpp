#include "report/charts/latex_table.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <utility>

#include <fmt/format.h>

#include "base/utf8.h"
#include "report/read/format.h"
#include "report/read/metrics.h"
#include "report/summary/arm_series.h"

namespace attnlab::report {
namespace {

constexpr std::array<std::pair<std::string_view, std::string_view>, 24> kCommands = {{
    {"\\", "\\textbackslash{}"},
    {"{", "\\{"},
    {"}", "\\}"},
    {"$", "\\$"},
    {"&", "\\&"},
    {"#", "\\#"},
    {"%", "\\%"},
    {"_", "\\_"},
    {"~", "\\textasciitilde{}"},
    {"^", "\\textasciicircum{}"},
    {"<", "\\textless{}"},
    {">", "\\textgreater{}"},
    {"|", "\\textbar{}"},
    {"\"", "\\textquotedbl{}"},
    {"`", "\\textasciigrave{}"},
    {"-", "{-}"},  // two in a row are no dash
    {"×", "$\\times$"},
    {"·", "$\\cdot$"},
    {"µ", "$\\mu$"},
    {"↑", "$\\uparrow$"},
    {"↓", "$\\downarrow$"},
    {"–", "--"},
    {"…", "\\ldots{}"},
    {"'", "{'}"},
}};

constexpr char32_t kLastLatin = 0xff;  // what T1 fonts surely have

struct Column {
  std::string metric, unit, better;
  bool is_exact = false;  // counts once: no chance in it, neither of rounds nor of the text
};

// The metrics of report.md's table that the case has.
std::vector<Column> columns_of(const Results& results, const CaseLayout& entry) {
  std::vector<Column> columns;
  for (const MetricInfo& metric : standard_metrics()) {
    if (metric.headline == Headline::none) continue;
    for (const SummaryRow& row : results.summary.rows) {
      if (!row.is_ok() || row.metric != metric.name || row.workload != entry.workload ||
          row.case_name != entry.case_name)
        continue;
      const bool varies = std::ranges::any_of(results.summary.families, [&](const Family& family) {
        return family.workload == entry.workload && family.case_name == entry.case_name && family.metric == metric.name;
      });
      columns.push_back(
          {row.metric, row.unit, row.better, !varies && !row.estimate.interval && !is_quality(row.metric)});
      break;
    }
  }
  return columns;
}

const SummaryRow* row_of(const Results& results, const CaseLayout& entry, const std::string& arm,
                         const std::string& metric) {
  const auto found = std::ranges::find_if(results.summary.rows, [&](const SummaryRow& row) {
    return row.is_ok() && row.arm == arm && row.metric == metric && row.workload == entry.workload &&
           row.case_name == entry.case_name;
  });
  return found == results.summary.rows.end() ? nullptr : &*found;
}

// An arm that evicted nothing, or answered before the cache was compressed, cannot be the best of its column.
bool may_win(const SummaryRow& row) {
  return row.no_verdict.empty() && !row.evicted_nothing;
}

// The best median of the arms, where there is one.
std::optional<double> best_of(const Results& results, const CaseLayout& entry, const Column& column) {
  if (column.better != "higher" && column.better != "lower") return std::nullopt;
  std::optional<double> best;
  int arms = 0, ties = 0;
  for (const ArmLayout& arm : results.layout.arms) {
    const SummaryRow* row = row_of(results, entry, arm.name, column.metric);
    if (row == nullptr || !std::isfinite(row->estimate.median) || !may_win(*row)) continue;
    ++arms;
    const double value = row->estimate.median;
    if (best && value == *best) ++ties;
    if (!best || (column.better == "higher" ? value > *best : value < *best)) {
      best = value;
      ties = 0;
    }
  }
  if (arms < 2 || ties > 0) return std::nullopt;  // what several share is no distinction
  return best;
}

std::string cell(const SummaryRow* row, const Column& column, const std::optional<double>& best) {
  if (row == nullptr) return "--";
  const auto written = [&](double value) { return latex_text(format_value(value, column.unit)); };
  std::string text = written(row->estimate.median);
  const bool is_sure = (row->is_marked || column.is_exact) && may_win(*row);
  if (best && row->estimate.median == *best && is_sure) text = "\\textbf{" + text + "}";
  if (row->is_marked) text += "$^{*}$";
  if (!row->no_verdict.empty()) text += "$^{\\circ}$";
  if (const auto& interval = row->estimate.interval; interval && interval->low != interval->high) {
    const auto [before, between, after] =
        interval->is_confident() ? std::array{"[", ", ", "]"} : std::array{"(", " to ", ")"};
    text += fmt::format(" {{\\scriptsize {}{}{}{}{}}}", before, written(interval->low), between,
                        written(interval->high), after);
  }
  return text;
}

std::string heading(const Column& column) {
  const std::string arrow = column.better == "higher" ? " ↑" : column.better == "lower" ? " ↓" : "";
  return latex_text(std::string(metric_heading(column.metric)) + arrow);
}

std::string table_of(const Results& results, const CaseLayout& entry, const std::vector<ArmSeries>& series,
                     std::size_t number) {
  const std::vector<Column> columns = columns_of(results, entry);
  if (columns.empty()) return {};
  std::string rows, shared = "arm";
  for (const Column& column : columns) shared += " & " + heading(column);
  std::vector<std::optional<double>> best;
  for (const Column& column : columns) best.push_back(best_of(results, entry, column));
  for (std::size_t i = 0; i < results.layout.arms.size(); ++i) {
    const ArmLayout& arm = results.layout.arms[i];
    std::string row = latex_text(series[i].label);
    bool has_any = false;
    for (std::size_t k = 0; k < columns.size(); ++k) {
      const SummaryRow* figure = row_of(results, entry, arm.name, columns[k].metric);
      has_any = has_any || figure != nullptr;
      row += " & " + cell(figure, columns[k], best[k]);
    }
    if (has_any) rows += row + (arm.name == results.layout.baseline ? " \\\\ % the baseline\n" : " \\\\\n");
  }
  std::vector<std::string> reasons;  // caches that drop rows and caches that round them have their own
  for (const SummaryRow& row : results.summary.rows)
    if (!row.no_verdict.empty() && row.workload == entry.workload && row.case_name == entry.case_name &&
        std::ranges::find(reasons, row.no_verdict) == reasons.end())
      reasons.push_back(row.no_verdict);
  const std::string without_verdict = reasons.empty()
                                          ? ""
                                          : fmt::format(" $^{{\\circ}}$ compared with none: {}.",
                                                        latex_text(fmt::format("{}", fmt::join(reasons, "; "))));
  const auto baseline = std::ranges::find(series, results.layout.baseline, &ArmSeries::arm);
  return fmt::format(
      "\\begin{{table*}}\n\\centering\\small\n"
      "\\caption{{{}: medians with 95\\,\\% intervals in brackets, or the range of too few rounds in parentheses. "
      "$^{{*}}$ differs from the baseline ({}) by more than chance, with simultaneous intervals. Bold: the best median "
      "of "
      "a column, where it differs by more than chance or is exact.{}}}\n\\label{{tab:attnlab-{}}}\n"
      "\\begin{{tabular}}{{l{}}}\n\\toprule\n{} \\\\\n\\midrule\n{}\\bottomrule\n\\end{{tabular}}\n\\end{{table*}}\n",
      latex_text(case_title(entry)), baseline == series.end() ? "none" : latex_text(baseline->label), without_verdict,
      number, std::string(columns.size(), 'r'), shared, rows);
}

}  // namespace

std::string latex_text(std::string_view text) {
  const std::string line = one_line(text);
  std::string escaped;
  for (std::string_view rest = line; !rest.empty();) {
    const Utf8Step character = first_character(rest);
    const std::string_view letter = rest.substr(0, static_cast<std::size_t>(character.bytes));
    const auto* const command =
        std::ranges::find(kCommands, letter, &std::pair<std::string_view, std::string_view>::first);
    if (command != kCommands.end())
      escaped += command->second;
    else if (character.code_point > kLastLatin)
      escaped += fmt::format("[U+{:04X}]", static_cast<std::uint32_t>(character.code_point));
    else
      escaped += letter;
    rest.remove_prefix(letter.size());
  }
  return escaped;
}

std::string latex_table(const Results& results) {
  const std::vector<ArmSeries> series = arm_series(results.layout);
  std::string tables;
  std::size_t number = 0;
  for (const CaseLayout& entry : results.layout.cases) tables += table_of(results, entry, series, ++number);
  if (tables.empty()) return {};
  return "% " + one_line(results.layout.name) +
         ", written by attnlab report --figures. In the preamble: \\usepackage{booktabs}\n" + tables;
}

std::string latex_document() {
  return "\\documentclass[twocolumn]{article}\n\\usepackage[T1]{fontenc}\n\\usepackage[utf8]{inputenc}\n"
         "\\usepackage[margin=1.5cm]{geometry}\n\\usepackage{booktabs}\n\\begin{document}\n\\input{table}\n"
         "\\end{document}\n";
}

}  // namespace attnlab::report
