// The charts of a report as drawings: the SVG files of report.md, which bring their own light surface so that they read
// the same on white and on dark pages, and the figures of a paper (figures.h). Not here: the interactive charts of
// report.html.
#pragma once

#include <string>
#include <vector>

#include <attnlab/api.h>

#include "report/charts/chart_style.h"
#include "report/charts/drawing.h"
#include "report/summary/results.h"

namespace attnlab::report {

struct StaticChart {
  std::string name;  // of its files, without an ending: "speed-q512-prefill_tokens_per_second"
  Drawing drawing;
};

/// Quality against cost with the Pareto front, the learning curves, maps over two numbers of cases, then every headline
/// metric of every case by arm with its intervals. Metrics that are the same for all arms have no chart.
[[nodiscard]] ATTNLAB_API std::vector<StaticChart> static_charts(const Results& results,
                                                                 const ChartStyle& style = page_style());

/// The section of report.md that shows them; empty where there is none.
[[nodiscard]] ATTNLAB_API std::string chart_links(const Results& results);

/// Writes charts/NAME.svg of each and removes those of an earlier report.
void write_charts(const std::filesystem::path& results_folder, const std::vector<StaticChart>& charts);

}  // namespace attnlab::report
