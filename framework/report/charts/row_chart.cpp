// A row for each arm: a figure with its interval, the name beside it in full.
#include <algorithm>

#include "report/charts/chart_style.h"
#include "report/read/format.h"
#include "report/read/metrics.h"

namespace attnlab::report {
namespace {

constexpr double kLeastPlot = 0.36;  // of the width, however long the names are
constexpr double kValues = 90;       // pixels for the figures on the right
constexpr double kLine = 14;         // of a name in several lines

}  // namespace

Drawing row_chart(const ChartStyle& style, const std::string& title, const std::vector<const SummaryRow*>& rows,
                  const std::vector<ArmSeries>& series) {
  const double right = style.width - kValues;
  const double most = right - style.width * kLeastPlot - 32;
  double longest = 40;
  std::vector<double> values;
  std::vector<std::vector<std::string>> names;
  double height = 0;
  for (const SummaryRow* row : rows) {
    names.push_back(wrapped(series_of(series, row->arm).label, most));
    for (const std::string& line : names.back()) longest = std::max(longest, text_width(line));
    height += kRowHeight + kLine * static_cast<double>(names.back().size() - 1);
    values.push_back(row->estimate.median);
    if (has_width(row->estimate.interval))
      values.insert(values.end(), {row->estimate.interval->low, row->estimate.interval->high});
    if (has_width(row->over_seeds)) values.insert(values.end(), {row->over_seeds->low, row->over_seeds->high});
  }
  const SummaryRow& first = *rows.front();
  const double left = longest + 32;
  const double top = top_of(style);
  const double bottom = top + height + 8;
  Drawing drawing =
      begin_chart(style, bottom + kAxisHeight + (style.has_title ? -14 : 0), title + better_text(first.better));
  const AxisScale scale(values, left, right);
  draw_x_axis(drawing, scale, left, right, top - 4, bottom, first.unit);
  if (!style.has_title)
    drawing.text((left + right) / 2, bottom + 34, std::string(metric_heading(first.metric)) + better_text(first.better),
                 Anchor::middle, kQuietText);
  double y = top;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const SummaryRow& row = *rows[i];
    const ArmSeries& look = series_of(series, row.arm);
    const double row_height = kRowHeight + kLine * static_cast<double>(names[i].size() - 1);
    const double middle = y + row_height / 2;
    const double x = scale(row.estimate.median);
    if (row.is_baseline && row.no_verdict.empty())
      drawing.line(x, top - 4, x, bottom, {.stroke = kQuiet, .dashes = {3, 3}});
    if (has_width(row.over_seeds))
      draw_seeds(drawing, {scale(row.over_seeds->low), middle}, {scale(row.over_seeds->high), middle}, look.colour);
    if (has_width(row.estimate.interval))
      drawing.line(scale(row.estimate.interval->low), middle, scale(row.estimate.interval->high), middle,
                   {.stroke = colour_of(look.colour), .width = 2});
    const bool is_filled =
        row.no_verdict.empty() && (row.is_baseline || row.is_marked || (!row.ratio && !row.difference));
    draw_mark(drawing, {x, middle}, look, is_filled, row.is_baseline);
    double line_y = middle + 4 - kLine * static_cast<double>(names[i].size() - 1) / 2;
    for (const std::string& line : names[i]) {
      drawing.text(left - 12, line_y, line, Anchor::end, {.is_bold = row.is_baseline});
      line_y += kLine;
    }
    drawing.text(right + 12, middle + 4, format_value(row.estimate.median, row.unit), Anchor::start);
    y += row_height;
  }
  return drawing;
}

}  // namespace attnlab::report
