#include "report/charts/figures.h"

#include <attnlab/error.h>

#include "report/charts/latex_table.h"
#include "report/charts/svg_chart.h"
#include "report/read/text_file.h"

namespace attnlab::report {

std::vector<std::filesystem::path> write_figures(const Results& results, const std::filesystem::path& folder) {
  const std::string table = latex_table(results);
  if (table.empty()) throw Error("--figures", "no trial has ended well: there is nothing to draw");
  std::error_code failure;
  std::filesystem::create_directories(folder, failure);
  if (failure) throw Error(folder.string(), "cannot be made: " + failure.message());
  std::vector<std::filesystem::path> files;
  const auto write = [&](const std::string& name, const std::string& text) {
    files.push_back(folder / name);
    write_atomically(files.back(), text);
  };
  for (const StaticChart& chart : static_charts(results, column_style())) {
    write(chart.name + ".svg", svg_text(chart.drawing));
    write(chart.name + ".pdf", pdf_text(chart.drawing));
  }
  write("table.tex", table);
  write("table_alone.tex", latex_document());
  return files;
}

}  // namespace attnlab::report
