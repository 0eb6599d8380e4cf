#include "report/pages/results_folder.h"

#include "report/charts/svg_chart.h"
#include "report/pages/html.h"
#include "report/pages/markdown.h"
#include "report/read/text_file.h"

namespace attnlab::report {

namespace fs = std::filesystem;

Results write_reports(const fs::path& results_folder, const std::string& baseline) {
  Results results = read_results(results_folder, baseline);
  // All texts first, so that a failure to make one leaves the files of one another's age.
  const std::string samples = samples_csv(results.layout, results.trials);
  const std::string summary = summary_csv(results.summary);
  const std::string comparisons = comparisons_csv(results.layout, results.summary);
  const std::string report = report_markdown(results);
  const std::string page = report_html(results);
  const std::vector<StaticChart> charts = static_charts(results);
  write_atomically(results_folder / "samples.csv", samples);
  write_atomically(results_folder / "summary.csv", summary);
  write_atomically(results_folder / "comparisons.csv", comparisons);
  write_charts(results_folder, charts);
  write_atomically(results_folder / "report.md", report);
  write_atomically(results_folder / "report.html", page);
  return results;
}

}  // namespace attnlab::report
