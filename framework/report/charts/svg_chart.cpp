#include "report/charts/svg_chart.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>

#include <fmt/format.h>

#include "report/charts/chart_style.h"
#include "report/read/format.h"
#include "report/read/metrics.h"
#include "report/read/text_file.h"
#include "report/summary/tradeoffs.h"

namespace attnlab::report {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLongestName = 120;
constexpr const char* kFolder = "charts";

using Rows = std::vector<const SummaryRow*>;

// A file name without its ending: whatever else may stand in a case becomes a dash, and no name is too long for a disk.
std::string file_part(const std::string& text) {
  std::string part;
  for (const char letter : text)
    part += std::isalnum(static_cast<unsigned char>(letter)) || letter == '_' ? letter : '-';
  return part.substr(0, kLongestName);
}

std::vector<Rows> rows_of_charts(const Results& results) {
  std::map<std::tuple<std::string, std::string, std::string>, Rows> by_case;
  for (const SummaryRow& row : results.summary.rows)
    if (row.is_ok() && std::isfinite(row.estimate.median))
      by_case[{row.workload, row.case_name, row.metric}].push_back(&row);
  std::vector<Rows> charts;
  for (const CaseLayout& entry : results.layout.cases)
    for (const MetricInfo& metric : standard_metrics()) {
      if (metric.headline != Headline::everywhere) continue;
      const auto rows = by_case.find({entry.workload, entry.case_name, std::string(metric.name)});
      if (rows == by_case.end()) continue;
      const double first = rows->second.front()->estimate.median;
      if (std::ranges::any_of(rows->second, [&](const SummaryRow* row) { return row->estimate.median != first; }))
        charts.push_back(rows->second);
    }
  return charts;
}

// Arms with a figure of the metric in a cell of the map. None where all figures are the same.
std::vector<MapOfArm> arms_of_map(const Results& results, const CaseMap& map, std::string_view metric) {
  std::vector<MapOfArm> arms;
  std::set<double> values;
  for (const ArmLayout& layout : results.layout.arms) {
    MapOfArm arm{layout.name, layout.name == results.layout.baseline, std::vector<const SummaryRow*>(map.cases.size())};
    bool has_figure = false;
    for (const SummaryRow& row : results.summary.rows) {
      if (row.arm != arm.arm || row.workload != map.workload || row.metric != metric || !row.is_ok()) continue;
      const auto cell = std::ranges::find(map.cases, row.case_name);
      if (cell == map.cases.end() || !std::isfinite(row.estimate.median)) continue;
      arm.cells[static_cast<std::size_t>(cell - map.cases.begin())] = &row;
      values.insert(row.estimate.median);
      has_figure = true;
    }
    if (has_figure) arms.push_back(std::move(arm));
  }
  return values.size() > 1 ? arms : std::vector<MapOfArm>();
}

// Those of arms of the study that have a loss to draw.
std::vector<TrainingGroup> drawn_groups(const Trainings& trainings, const std::vector<ArmSeries>& series) {
  std::vector<TrainingGroup> groups = shown_groups(trainings);
  std::erase_if(groups, [&](const TrainingGroup& group) {
    if (group.arms.empty() || std::ranges::find(series, group.arms.front(), &ArmSeries::arm) == series.end())
      return true;
    return std::ranges::none_of(group.seeds, [](const Training* training) {
      return std::ranges::any_of(training->curve, [](const CurvePoint& point) { return std::isfinite(point.loss); });
    });
  });
  return groups;
}

}  // namespace

std::vector<StaticChart> static_charts(const Results& results, const ChartStyle& style) {
  std::vector<StaticChart> charts;
  std::set<std::string> names;
  const std::vector<ArmSeries> series = arm_series(results.layout);
  const auto add = [&](const std::string& name, Drawing drawing) {
    std::string file = file_part(name);
    for (int copy = 2; !names.insert(file).second; ++copy) file = fmt::format("{}-{}", file_part(name), copy);
    charts.push_back({std::move(file), std::move(drawing)});
  };
  for (const Tradeoff& tradeoff : tradeoffs(results)) {
    const std::string title = measure_title(tradeoff.quality) + " against " + measure_title(tradeoff.cost);
    add(fmt::format("{}-{}-against-{}-{}", case_title(tradeoff.quality.entry), tradeoff.quality.metric,
                    case_title(tradeoff.cost.entry), tradeoff.cost.metric),
        point_chart(style, title, tradeoff, results.layout.baseline, series));
  }
  if (const std::vector<TrainingGroup> groups = drawn_groups(results.trainings, series); !groups.empty())
    add("learning-curves", curve_chart(style, "Learning curves", groups, series));
  for (const CaseMap& map : case_maps(results.layout))
    for (const MetricInfo& metric : standard_metrics()) {
      if (metric.headline != Headline::everywhere) continue;
      const std::vector<MapOfArm> arms = arms_of_map(results, map, metric.name);
      if (arms.empty()) continue;
      const std::string others = map.others.empty() ? "" : " (" + map.others + ")";
      add(fmt::format("{}-{}-by-{}-and-{}{}", map.workload, metric.name, map.across, map.down, others),
          map_chart(style,
                    fmt::format("{} by {} and {}, {}{}", metric.heading, map.across, map.down, map.workload, others),
                    map, arms, series));
    }
  for (const Rows& rows : rows_of_charts(results)) {
    const CaseLayout entry{rows.front()->workload, rows.front()->case_name};
    const std::string title = fmt::format("{}, {}", metric_heading(rows.front()->metric), case_title(entry));
    add(case_title(entry) + "-" + rows.front()->metric, row_chart(style, title, rows, series));
  }
  return charts;
}

std::string chart_links(const Results& results) {
  std::string text;
  for (const StaticChart& chart : static_charts(results, page_style()))
    text += fmt::format("![{}]({}/{}.svg)\n\n", markdown_text(chart.drawing.title()), kFolder, chart.name);
  if (text.empty()) return text;
  return "## Charts\n\nColour: the policy, or what else differs; a curve joins arms that differ in numbers only, its "
         "band "
         "is their interval. Bold with a dark edge: the baseline. Filled: a marked difference, or on the Pareto front "
         "(dotted). Lines through points: 95 % intervals; broad pale bars: from the least to the greatest seed. "
         "Learning "
         "curves: thin for a seed, thick for their median. Tables of colours: darker is more, dashed without a verdict."
         "\n\n" +
         text;
}

void write_charts(const fs::path& results_folder, const std::vector<StaticChart>& charts) {
  std::error_code ignored;
  const fs::path folder = results_folder / kFolder;
  std::set<fs::path> kept;
  if (!charts.empty()) fs::create_directory(folder, ignored);  // what is wrong shows when a file is written
  for (const StaticChart& chart : charts) {
    const fs::path file = folder / (chart.name + ".svg");
    write_atomically(file, svg_text(chart.drawing));
    kept.insert(file);
  }
  std::vector<fs::path> stale;
  for (fs::directory_iterator entry(folder, ignored), end; !ignored && entry != end; entry.increment(ignored))
    if (entry->path().extension() == ".svg" && !kept.contains(entry->path())) stale.push_back(entry->path());
  for (const fs::path& path : stale) fs::remove(path, ignored);
}

}  // namespace attnlab::report
