// What the charts of a report have in common: sizes of a page or of a column of a paper, colours, lines and marks by
// series, axes. The charts of report.html, which are drawn in the browser, take their colours and lines from here.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "report/charts/axis_scale.h"
#include "report/charts/drawing.h"
#include "report/summary/arm_series.h"
#include "report/summary/case_maps.h"
#include "report/summary/results.h"
#include "report/summary/tradeoffs.h"

namespace attnlab::report {

struct ChartStyle {
  double width = 760;  // pixels; letters have 12
  double points_per_pixel = 0.75;
  bool has_title = true;  // and a light surface of its own; a paper has a caption and its page
};

/// For report.md.
[[nodiscard]] inline ChartStyle page_style() {
  return {};
}
/// A column of a two-column paper: 3.38 inches wide, letters of 7.5 points.
[[nodiscard]] inline ChartStyle column_style() {
  return {.width = 389, .points_per_pixel = 0.625, .has_title = false};
}

inline constexpr double kRowHeight = 20;
inline constexpr double kAxisHeight = 42;  // ticks and the axis' name
inline constexpr std::string_view kInk = "#1b1f24", kQuiet = "#5c6570", kPaper = "#ffffff";
inline constexpr TextLook kQuietText = {.colour = kQuiet};

/// "#0b6cb8"; colours come round again after twelve.
[[nodiscard]] std::string_view colour_of(int colour);
/// Empty for a solid line.
[[nodiscard]] std::vector<double> dashes_of(int line);

/// The colours as variables --c0, --c1 ... of a page's style, light and dark as the page is.
[[nodiscard]] std::string palette_css();
/// What the scripts of a page have to know: "colours" (how many), "dashes" (of lines, as SVG takes them), "log_from".
[[nodiscard]] nlohmann::ordered_json page_looks();

/// A series' mark around a place, filled or hollow; with a dark edge where it is the baseline's.
void draw_mark(Drawing& drawing, Place place, const ArmSeries& series, bool is_filled, bool is_baseline);

/// An empty drawing with its title, where the style has one.
[[nodiscard]] Drawing begin_chart(const ChartStyle& style, double height, const std::string& title);
/// Pixels above the marks.
[[nodiscard]] double top_of(const ChartStyle& style);

/// Grid and texts; texts that would touch their neighbour are left out.
void draw_x_axis(Drawing& drawing, const AxisScale& scale, double left, double right, double top, double bottom,
                 const std::string& unit);

/// " (↓ less is better)"
[[nodiscard]] std::string better_text(const std::string& better);

[[nodiscard]] Drawing row_chart(const ChartStyle& style, const std::string& title,
                                const std::vector<const SummaryRow*>& rows, const std::vector<ArmSeries>& series);
[[nodiscard]] Drawing point_chart(const ChartStyle& style, const std::string& title, const Tradeoff& tradeoff,
                                  const std::string& baseline, const std::vector<ArmSeries>& series);
/// Groups must have a loss that is a number among their curves.
[[nodiscard]] Drawing curve_chart(const ChartStyle& style, const std::string& title,
                                  const std::vector<TrainingGroup>& groups, const std::vector<ArmSeries>& series);

/// One arm's figures in the cells of a map; null pointers where there is none.
struct MapOfArm {
  std::string arm;
  bool is_baseline = false;
  std::vector<const SummaryRow*> cells;  // as CaseMap::cases
};

/// At least one arm, each with at least one figure, all of one metric.
[[nodiscard]] Drawing map_chart(const ChartStyle& style, const std::string& title, const CaseMap& map,
                                const std::vector<MapOfArm>& arms, const std::vector<ArmSeries>& series);

/// The spread over seeds beside an interval: a broad pale bar from one place to the other, straight across or down.
void draw_seeds(Drawing& drawing, Place from, Place to, int colour);

/// "perplexity", "decode tokens/s of speed q1s1k"
[[nodiscard]] std::string measure_title(const Measure& measure);
/// Whether there is something to draw between the ends.
[[nodiscard]] bool has_width(const std::optional<Interval>& interval);
/// Series of the arm; `series` has one for each arm of the layout.
[[nodiscard]] const ArmSeries& series_of(const std::vector<ArmSeries>& series, const std::string& arm);

}  // namespace attnlab::report
