#include "report/pages/terminal_table.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "report/pages/training_words.h"
#include "report/pages/verdict_words.h"
#include "report/read/format.h"
#include "report/summary/input_words.h"
#include "report/summary/verdict_table.h"

namespace attnlab::report {
namespace {

using Line = std::vector<std::string>;

std::string ratio_text(const VerdictCell& cell) {
  return cell.ratio + (cell.is_marked ? "*" : "") + (cell.is_unstable ? kUnstableMark : "");
}

std::string cell_text(const VerdictCell& cell) {
  if (cell.value.empty()) return "–";
  return cell.ratio.empty() ? cell.value : fmt::format("{}  ({})", cell.value, ratio_text(cell));
}

// Which marks a table has, and whether it has ratios at all.
struct Seen {
  bool ratio = false, marked = false, unstable = false;

  void look_at(const VerdictCell& cell) {
    ratio = ratio || !cell.ratio.empty();
    marked = marked || cell.is_marked;
    unstable = unstable || cell.is_unstable;
  }
};

// Comparisons with other arms than the baseline.
std::string further_tables(const Results& results, Seen& seen) {
  std::string text, reference;
  std::vector<Line> lines;
  const auto end_table = [&] {
    if (lines.empty()) return;
    text += one_line("against " + reference) + "\n" + aligned(lines, 3) + "\n";
    lines.clear();
  };
  for (const FurtherLine& line : further_lines(results, Headline::everywhere)) {
    if (line.reference != reference) end_table();
    reference = line.reference;
    if (lines.empty()) lines.push_back({"arm", "case", "metric", "ratio"});
    lines.push_back({one_line(line.arm), one_line(line.title), one_line(line.heading), ratio_text(line.cell)});
    seen.look_at(line.cell);
  }
  end_table();
  return text;
}

}  // namespace

std::string terminal_table(const Results& results) {
  std::string text;
  Seen seen;
  for (const VerdictTable& table : verdict_tables(results, Headline::everywhere)) {
    std::vector<Line> lines = {{"arm"}};
    lines.front().insert(lines.front().end(), table.headings.begin(), table.headings.end());
    lines.front().emplace_back();
    for (const VerdictRow& row : table.rows) {
      Line line = {one_line(row.arm)};
      for (const VerdictCell& cell : row.cells) {
        line.push_back(cell_text(cell));
        seen.look_at(cell);
      }
      line.push_back(one_line(fmt::format("{}", fmt::join(row.notes, "; "))));
      lines.push_back(std::move(line));
    }
    for (std::string& heading : lines.front()) heading = one_line(heading);
    text += one_line(case_title(table.entry)) + "\n" + aligned(lines, 1) + "\n";
  }
  text += further_tables(results, seen);
  if (const WordsTable table = trainings_table(results); !table.empty())
    text += "trainings\n" + aligned(table, 1) + "\n";
  if (const WordsTable table = search_table(results); !table.empty())
    text += "search for the learning rate, by validation loss\n" + aligned(table, 1) + "\n";
  if (seen.ratio) text += "× median of paired ratios to " + one_line(results.layout.baseline) + "\n";
  if (seen.marked) text += "* more than chance, all arms at once (95 %)\n";
  if (seen.unstable) text += fmt::format("{} {}\n", kUnstableMark, kUnstableWords);
  for (const std::string& sentence : verdict(results)) text += one_line(sentence) + "\n";
  for (const SummaryRow& row : results.summary.rows)
    if (!row.is_ok() && row.workload.empty()) text += one_line(row.arm + ": " + row.status) + "\n";
  for (const std::string& warning : results.summary.warnings) text += "warning: " + one_line(warning) + "\n";
  if (text.empty()) return "no trial has ended\n";
  std::string inputs;
  for (const std::string& words : input_words(results)) inputs += words + "\n";
  if (const std::string banner = banner_words(results); !banner.empty()) inputs += "*** " + banner + " ***\n";
  return inputs.empty() ? text : inputs + "\n" + text;
}

}  // namespace attnlab::report
