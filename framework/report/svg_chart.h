// Charts of report.md: static SVG files for a paper or a pull request. They bring their own light surface, so that they
// read the same on white and on dark pages. Not here: the interactive charts of report.html.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <attnlab/api.h>

#include "report/results_folder.h"

namespace attnlab::report {

struct StaticChart {
  std::string file;   // relative to the results folder: "charts/speed-q512-prefill_tokens_per_second.svg"
  std::string title;  // as it stands in the chart
  std::string svg;
};

/// Quality against cost with the Pareto front, then every headline metric of every case by arm with its intervals.
/// Metrics that are the same for all arms have no chart.
[[nodiscard]] ATTNLAB_API std::vector<StaticChart> static_charts(const Results& results);

/// The section of report.md that shows them; empty where there is none.
[[nodiscard]] ATTNLAB_API std::string chart_links(const Results& results);

/// Writes the charts and removes those of an earlier report.
void write_charts(const std::filesystem::path& results_folder, const std::vector<StaticChart>& charts);

}  // namespace attnlab::report
