#include "report/charts/chart_style.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include <attnlab/error.h>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "report/read/format.h"
#include "report/read/metrics.h"

namespace attnlab::report {
namespace {

using Palette = std::array<std::string_view, 12>;
constexpr Palette kColours = {"#0b6cb8", "#d1560a", "#07845f", "#b8458f", "#8a6d00", "#2f9fd0",
                              "#7650b8", "#a3333d", "#4d7a1f", "#626a73", "#c2185b", "#00838f"};
constexpr Palette kOnDark = {"#58aeea", "#ff9352", "#3fc99b", "#e58cc4", "#d9bb45", "#8fd4f5",
                             "#b49cf0", "#f2797f", "#a3cf6b", "#b3bbc4", "#ff79b0", "#4dd0e1"};

const std::array<std::vector<double>, 4>& line_dashes() {
  static const std::array<std::vector<double>, 4> dashes = {{{}, {6, 3}, {2, 3}, {8, 3, 2, 3}}};
  return dashes;
}

constexpr double kTitleSize = 14;
constexpr double kBoldShare = 0.86;  // bold letters are so much wider
constexpr double kTickGap = 8;       // pixels between two texts of an axis

// A regular polygon, a corner upwards after `turn` of a circle.
std::vector<Place> polygon(Place middle, double radius, int corners, double turn) {
  std::vector<Place> places;
  for (int corner = 0; corner < corners; ++corner) {
    const double angle = 2 * std::numbers::pi * (static_cast<double>(corner) / corners + turn);
    places.push_back({middle.x + radius * std::sin(angle), middle.y - radius * std::cos(angle)});
  }
  return places;
}

}  // namespace

std::string_view colour_of(int colour) {
  return kColours[static_cast<std::size_t>(colour) % kColours.size()];
}

std::vector<double> dashes_of(int line) {
  return line_dashes()[static_cast<std::size_t>(line) % line_dashes().size()];
}

std::string palette_css() {
  const auto variables = [](const Palette& palette) {
    std::string text;
    for (std::size_t i = 0; i < palette.size(); ++i) text += fmt::format(" --c{}: {};", i, palette[i]);
    return text;
  };
  const std::string light = variables(kColours), dark = variables(kOnDark);
  return fmt::format(
      ":root {{{0} }}\n"
      "@media (prefers-color-scheme: dark) {{ :root:not([data-theme=\"light\"]) {{{1} }} }}\n"
      ":root[data-theme=\"dark\"] {{{1} }}\n"
      "@media print {{ :root, :root[data-theme=\"dark\"], :root:not([data-theme=\"light\"]) {{{0} }} }}",
      light, dark);
}

nlohmann::ordered_json page_looks() {
  nlohmann::ordered_json dashes = nlohmann::ordered_json::array();
  for (const std::vector<double>& of_line : line_dashes())
    dashes.push_back(of_line.empty() ? "none" : fmt::format("{}", fmt::join(of_line, " ")));
  return {{"colours", kColours.size()}, {"dashes", dashes}, {"log_from", kLogFrom}};
}

void draw_mark(Drawing& drawing, Place place, const ArmSeries& series, bool is_filled, bool is_baseline) {
  const std::string_view colour = colour_of(series.colour);
  const Ink ink{.stroke = is_baseline ? kInk : colour, .width = 2, .fill = is_filled ? colour : kPaper};
  switch (series.line % 4) {
    case 1:
      return drawing.outline(polygon(place, 6, 4, 0.125), true, ink);
    case 2:
      return drawing.outline(polygon(place, 6, 3, 0), true, ink);
    case 3:
      return drawing.outline(polygon(place, 6, 4, 0), true, ink);
    default:
      return drawing.circle(place.x, place.y, 4.5, ink);
  }
}

void draw_seeds(Drawing& drawing, Place from, Place to, int colour) {
  constexpr double kHalf = 4, kPale = 0.3;
  const bool is_across = from.y == to.y;
  const double dx = is_across ? 0 : kHalf, dy = is_across ? kHalf : 0;
  drawing.outline(
      {{from.x - dx, from.y - dy}, {to.x - dx, to.y - dy}, {to.x + dx, to.y + dy}, {from.x + dx, from.y + dy}}, true,
      {.fill = colour_of(colour), .opacity = kPale});
}

Drawing begin_chart(const ChartStyle& style, double height, const std::string& title) {
  Drawing drawing(style.width, height, title, style.points_per_pixel);
  if (!style.has_title) return drawing;
  drawing.outline({{0.5, 0.5}, {style.width - 0.5, 0.5}, {style.width - 0.5, height - 0.5}, {0.5, height - 0.5}}, true,
                  {.stroke = "#d9dee4", .fill = kPaper});
  drawing.text(16, 26, title, Anchor::start,
               {.size = size_that_fits(title, (style.width - 32) * kBoldShare, kTitleSize), .is_bold = true});
  return drawing;
}

double top_of(const ChartStyle& style) {
  return style.has_title ? 44 : 16;
}

void draw_x_axis(Drawing& drawing, const AxisScale& scale, double left, double right, double top, double bottom,
                 const std::string& unit) {
  std::vector<double> ticks;
  for (int count = std::max(2, static_cast<int>((right - left) / 90)); ticks.size() < 2 && count < 10; ++count)
    ticks = scale.ticks(count, unit == "bytes");
  const std::vector<std::string> texts = tick_texts(ticks, unit);
  double free_from = 0;
  for (std::size_t i = 0; i < ticks.size(); ++i) {
    const double x = scale(ticks[i]);
    drawing.line(x, top, x, bottom, {.stroke = "#e4e8ec"});
    const double half = text_width(texts[i]) / 2;
    if (x - half < free_from || x + half > drawing.width()) continue;
    drawing.text(x, bottom + 16, texts[i], Anchor::middle, kQuietText);
    free_from = x + half + kTickGap;
  }
}

std::string better_text(const std::string& better) {
  if (better == "higher") return " (↑ more is better)";
  if (better == "lower") return " (↓ less is better)";
  return {};
}

std::string measure_title(const Measure& measure) {
  const std::string heading(metric_heading(measure.metric));
  const std::string title = case_title(measure.entry);
  if (title == heading || title.starts_with(heading + " ")) return title;  // the workload has the metric's name
  return heading + " of " + title;
}

bool has_width(const std::optional<Interval>& interval) {
  return interval && std::isfinite(interval->low) && std::isfinite(interval->high) && interval->low != interval->high;
}

const ArmSeries& series_of(const std::vector<ArmSeries>& series, const std::string& arm) {
  const auto found = std::ranges::find(series, arm, &ArmSeries::arm);
  ATTNLAB_CHECK(found != series.end(), "a chart has an arm that the layout does not have");
  return *found;
}

}  // namespace attnlab::report
