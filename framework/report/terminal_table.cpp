#include "report/terminal_table.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "report/format.h"
#include "report/verdict_table.h"
#include "report/verdict_words.h"

namespace attnlab::report {
namespace {

using Line = std::vector<std::string>;

std::string cell_text(const VerdictCell& cell) {
  if (cell.value.empty()) return "–";
  return cell.ratio.empty() ? cell.value : fmt::format("{}  ({}{})", cell.value, cell.ratio, cell.is_marked ? "*" : "");
}

}  // namespace

std::string terminal_table(const Results& results) {
  std::string text;
  bool has_marks = false;
  for (const VerdictTable& table : verdict_tables(results, Headline::everywhere)) {
    std::vector<Line> lines = {{"arm"}};
    lines.front().insert(lines.front().end(), table.headings.begin(), table.headings.end());
    lines.front().emplace_back();
    for (const VerdictRow& row : table.rows) {
      Line line = {one_line(row.arm)};
      for (const VerdictCell& cell : row.cells) {
        line.push_back(cell_text(cell));
        has_marks = has_marks || cell.is_marked;
      }
      line.push_back(one_line(fmt::format("{}", fmt::join(row.notes, "; "))));
      lines.push_back(std::move(line));
    }
    for (std::string& heading : lines.front()) heading = one_line(heading);
    text += one_line(case_title(table.entry)) + "\n" + aligned(lines, 1) + "\n";
  }
  if (has_marks) text += "* more than chance, all arms at once (95 %)\n";
  for (const std::string& sentence : verdict(results)) text += one_line(sentence) + "\n";
  for (const SummaryRow& row : results.summary.rows)
    if (!row.is_ok() && row.workload.empty()) text += one_line(row.arm + ": " + row.status) + "\n";
  for (const std::string& warning : results.summary.warnings) text += "warning: " + one_line(warning) + "\n";
  return text.empty() ? "no trial has ended\n" : text;
}

}  // namespace attnlab::report
