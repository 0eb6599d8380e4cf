// How a comparison is shown: on a terminal, in a pull request, to a program.
#include <cmath>
#include <map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "report/read/format.h"
#include "report/read/metrics.h"
#include "report/summary/compare.h"

namespace attnlab::report {
namespace {

using Line = std::vector<std::string>;

const Line kHeadings = {"arm", "metric", "A", "B", "B / A", "95 % interval", ""};

const char* word_of(Change change) {
  switch (change) {
    case Change::none:
      return "same";
    case Change::unclear:
      return "unclear";
    case Change::better:
      return "better";
    case Change::worse:
      return "worse";
    case Change::different:
      return "different";
    case Change::not_comparable:
      return "not comparable";
  }
  return "";
}

std::string interval_text(const ComparedRow& row) {
  if (!row.why_not.empty()) return {};
  if (row.interval) return fmt::format("[{:.4g}, {:.4g}]", row.interval->low, row.interval->high);
  if (row.is_exact) return "exact";
  if (row.few_seeds >= 0)
    return fmt::format("{} {} too few", row.few_seeds, row.few_seeds == 1 ? "seed is" : "seeds are");
  return row.n_a < 2 || row.n_b < 2 ? "one sample" : "";
}

std::string heading_of(const ComparedRow& row) {
  const std::size_t rank = metric_rank(row.metric);
  std::string heading(rank < standard_metrics().size() ? std::string(standard_metrics()[rank].heading) : row.metric);
  if (row.better != "none") heading += row.better == "higher" ? " ↑" : " ↓";
  return heading;
}

std::string verdict_of(const ComparedRow& row, double beyond) {
  if (!row.why_not.empty()) return "not comparable: " + row.why_not;
  if (row.is_regression(beyond)) return beyond > 0 ? fmt::format("worse by more than {:g} %", beyond * 100) : "worse";
  return row.change == Change::unclear ? "" : word_of(row.change);
}

Line line_of(const ComparedRow& row, double beyond) {
  return {one_line(row.arm),
          one_line(heading_of(row)),
          format_value(row.a, row.unit),
          format_value(row.b, row.unit),
          row.ratio ? fmt::format("{:.4g}", *row.ratio) : "",
          interval_text(row),
          verdict_of(row, beyond)};
}

bool is_shown(const ComparedRow& row, bool all) {
  if (all || (row.change != Change::none && row.change != Change::unclear)) return true;
  const std::size_t rank = metric_rank(row.metric);
  return rank < standard_metrics().size() && standard_metrics()[rank].headline == Headline::everywhere;
}

// Rows that are shown, case by case, in their order.
std::vector<std::pair<CaseLayout, std::vector<Line>>> tables(const Comparison& comparison, double beyond, bool all) {
  std::vector<std::pair<CaseLayout, std::vector<Line>>> shown;
  for (const ComparedRow& row : comparison.rows) {
    if (!is_shown(row, all)) continue;
    if (shown.empty() || !(shown.back().first == row.entry)) shown.push_back({row.entry, {kHeadings}});
    shown.back().second.push_back(line_of(row, beyond));
  }
  return shown;
}

// What the figures come to, in words; each a line of its own.
std::vector<std::string> conclusions(const Comparison& comparison, double beyond) {
  std::map<Change, int> counts;
  int regressions = 0;
  for (const ComparedRow& row : comparison.rows) {
    ++counts[row.change];
    regressions += row.is_regression(beyond) ? 1 : 0;
  }
  std::vector<std::string> said;
  if (comparison.rows.empty())
    said.push_back("nothing can be compared: no arm has a metric in a case of both");
  else if (!comparison.has_compared())
    said.push_back(fmt::format("nothing can be compared: {}", comparison.rows.front().why_not));
  else
    said.push_back(fmt::format(
        "{} figures: {} worse, {} better, {} different, {} exactly the same, {} without a clear "
        "difference",
        comparison.rows.size() - static_cast<std::size_t>(counts[Change::not_comparable]), counts[Change::worse],
        counts[Change::better], counts[Change::different], counts[Change::none], counts[Change::unclear]));
  if (counts[Change::not_comparable] > 0 && comparison.has_compared())
    said.push_back(
        fmt::format("{} figures are not compared, for the reasons in their rows", counts[Change::not_comparable]));
  if (comparison.intervals > 0)
    said.push_back(
        fmt::format("the intervals hold for all {} rows that have one at once; what changed on the machine "
                    "between the two runs is in them too",
                    comparison.intervals));
  if (beyond > 0) said.push_back(fmt::format("{} worse by more than {:g} %", regressions, beyond * 100));
  return said;
}

std::vector<std::string> remarks(const Comparison& comparison) {
  std::vector<std::string> all;
  for (const std::string& input : comparison.inputs) all.push_back("not the same: " + input);
  for (const std::string& warning : comparison.warnings) all.push_back("warning: " + warning);
  for (const std::string& broken : comparison.broken) all.push_back("worse: ended well in A and not in B: " + broken);
  for (const std::string& only : comparison.only_a) all.push_back("only in A: " + only);
  for (const std::string& only : comparison.only_b) all.push_back("only in B: " + only);
  return all;
}

nlohmann::ordered_json number(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  return value;
}

nlohmann::ordered_json json_of(const ComparedRow& row, double beyond) {
  nlohmann::ordered_json json = {{"arm", row.arm},
                                 {"workload", row.entry.workload},
                                 {"case", row.entry.case_name},
                                 {"metric", row.metric},
                                 {"unit", row.unit},
                                 {"better", row.better},
                                 {"a", number(row.a)},
                                 {"b", number(row.b)},
                                 {"n_a", row.n_a},
                                 {"n_b", row.n_b},
                                 {"exact", row.is_exact}};
  if (row.ratio) json["ratio"] = number(*row.ratio);
  if (row.interval) {
    json["ratio_low"] = number(row.interval->low);
    json["ratio_high"] = number(row.interval->high);
  }
  json["change"] = word_of(row.change);
  if (!row.why_not.empty()) json["why"] = row.why_not;
  json["regression"] = row.is_regression(beyond);
  return json;
}

}  // namespace

std::string compare_text(const Comparison& comparison, const ComparedNames& names, double beyond, bool all) {
  std::string text = one_line("A  " + names.a) + "\n" + one_line("B  " + names.b) + "\n";
  for (const std::string& remark : remarks(comparison)) text += one_line(remark) + "\n";
  for (const auto& [entry, lines] : tables(comparison, beyond, all))
    text += "\n" + one_line(case_title(entry)) + "\n" + aligned(lines, 2);
  text += "\n";
  for (const std::string& said : conclusions(comparison, beyond)) text += said + "\n";
  return text;
}

std::string compare_markdown(const Comparison& comparison, const ComparedNames& names, double beyond, bool all) {
  std::string text = fmt::format("# A: {}, B: {}\n", markdown_text(names.a), markdown_text(names.b));
  for (const std::string& said : conclusions(comparison, beyond)) text += "\n" + markdown_text(said) + ".\n";
  if (const std::vector<std::string> all_remarks = remarks(comparison); !all_remarks.empty()) text += "\n";
  for (const std::string& remark : remarks(comparison)) text += "- " + markdown_text(remark) + "\n";
  for (const auto& [entry, lines] : tables(comparison, beyond, all)) {
    text += fmt::format("\n## {}\n\n", markdown_text(case_title(entry)));
    for (std::size_t i = 0; i < lines.size(); ++i) {
      text += "|";
      for (const std::string& field : lines[i]) text += " " + markdown_text(field) + " |";
      text += i == 0 ? "\n| --- | --- | ---: | ---: | ---: | ---: | --- |\n" : "\n";
    }
  }
  return text;
}

nlohmann::ordered_json compare_json(const Comparison& comparison, const ComparedNames& names, double beyond) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const ComparedRow& row : comparison.rows) rows.push_back(json_of(row, beyond));
  return {{"format", 1},
          {"a", names.a},
          {"b", names.b},
          {"fail_above", beyond},
          {"regression", comparison.has_regression(beyond)},
          {"intervals", comparison.intervals},
          {"compared", comparison.has_compared()},
          {"inputs", comparison.inputs},
          {"warnings", comparison.warnings},
          {"broken", comparison.broken},
          {"only_a", comparison.only_a},
          {"only_b", comparison.only_b},
          {"rows", rows}};
}

}  // namespace attnlab::report
