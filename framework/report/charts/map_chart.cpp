// A table of colours for each arm: a figure by two numbers of the cases, such as length and depth. Darker is more.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "report/charts/chart_style.h"
#include "report/read/format.h"
#include "report/read/metrics.h"

namespace attnlab::report {
namespace {

constexpr double kCellWidth = 52, kCellHeight = 22;
constexpr double kRowNames = 44;     // pixels to the left of the cells
constexpr double kColumnNames = 34;  // below them: ticks and the name
constexpr double kNameLine = 15;
constexpr double kGap = 18;  // between tables
constexpr double kFaintest = 0.04, kStrongest = 0.6;

std::string number_text(double number) {
  return number >= 1024 && std::fmod(number, 1024) == 0 ? fmt::format("{:g}k", number / 1024)
                                                        : fmt::format("{:g}", number);
}

void draw_number(Drawing& drawing, double x, double y, double number, Anchor anchor, double room) {
  const std::string text = number_text(number);
  drawing.text(x, y, text, anchor, {.colour = kQuiet, .size = size_that_fits(text, room)});
}

std::string words_of(std::string name) {
  std::ranges::replace(name, '_', ' ');
  return name;
}

}  // namespace

Drawing map_chart(const ChartStyle& style, const std::string& title, const CaseMap& map,
                  const std::vector<MapOfArm>& arms, const std::vector<ArmSeries>& series) {
  const double table_width = kRowNames + kCellWidth * static_cast<double>(map.xs.size());
  const double cells_height = kCellHeight * static_cast<double>(map.ys.size());
  const auto side_by_side =
      static_cast<std::size_t>(std::max(1.0, std::floor((style.width - 16 + kGap) / (table_width + kGap))));
  // A table is as wide as the drawing where one has more columns than fit.
  const double cell = std::min(kCellWidth, (style.width - 16 - kRowNames) / static_cast<double>(map.xs.size()));
  std::vector<std::vector<std::string>> names;
  std::size_t most_lines = 1;
  double least = INFINITY, most = -INFINITY;
  for (const MapOfArm& arm : arms) {
    names.push_back(wrapped(series_of(series, arm.arm).label, std::min(table_width, style.width - 16)));
    most_lines = std::max(most_lines, names.back().size());
    for (const SummaryRow* row : arm.cells) {
      if (row == nullptr) continue;
      least = std::min(least, row->estimate.median);
      most = std::max(most, row->estimate.median);
    }
  }
  const SummaryRow* first = nullptr;
  for (const MapOfArm& arm : arms)
    for (const SummaryRow* row : arm.cells)
      if (first == nullptr) first = row;
  if (first->unit == "share") least = 0, most = 1;
  const double table_height = kNameLine * static_cast<double>(most_lines) + cells_height + kColumnNames + kGap;
  const auto rows = (arms.size() + side_by_side - 1) / side_by_side;
  const double top = top_of(style);
  Drawing drawing =
      begin_chart(style, top + table_height * static_cast<double>(rows) + 8, title + better_text(first->better));
  for (std::size_t i = 0; i < arms.size(); ++i) {
    const double left = 16 + static_cast<double>(i % side_by_side) * (table_width + kGap);
    const double begin = top + static_cast<double>(i / side_by_side) * table_height;
    for (std::size_t line = 0; line < names[i].size(); ++line)
      drawing.text(left, begin + kNameLine * static_cast<double>(line) + 4, names[i][line], Anchor::start,
                   {.is_bold = arms[i].is_baseline});
    const double cells_left = left + kRowNames, cells_top = begin + kNameLine * static_cast<double>(most_lines);
    for (std::size_t y = 0; y < map.ys.size(); ++y) {
      const double row_top = cells_top + kCellHeight * static_cast<double>(y);
      draw_number(drawing, cells_left - 6, row_top + 15, map.ys[y], Anchor::end, kRowNames - 10);
      for (std::size_t x = 0; x < map.xs.size(); ++x) {
        const SummaryRow* row = arms[i].cells[y * map.xs.size() + x];
        const double cell_left = cells_left + cell * static_cast<double>(x);
        if (row == nullptr) continue;
        const double share = most == least ? 0 : (row->estimate.median - least) / (most - least);
        drawing.outline({{cell_left, row_top},
                         {cell_left + cell - 2, row_top},
                         {cell_left + cell - 2, row_top + kCellHeight - 2},
                         {cell_left, row_top + kCellHeight - 2}},
                        true,
                        {.stroke = row->no_verdict.empty() ? "" : "#c3cad2",
                         .dashes = {2, 2},
                         .fill = row->no_verdict.empty() ? colour_of(0) : kPaper,
                         .opacity = kFaintest + (kStrongest - kFaintest) * share});
        const std::string value = format_value(row->estimate.median, row->unit);
        drawing.text(cell_left + (cell - 2) / 2, row_top + 14, value, Anchor::middle,
                     {.colour = row->no_verdict.empty() ? kInk : kQuiet, .size = size_that_fits(value, cell - 6, 11)});
      }
    }
    for (std::size_t x = 0; x < map.xs.size(); ++x)
      draw_number(drawing, cells_left + cell * (static_cast<double>(x) + 0.5) - 1, cells_top + cells_height + 12,
                  map.xs[x], Anchor::middle, cell - 4);
    drawing.text(left, cells_top + cells_height + 26,
                 fmt::format("across: {}, down: {}", words_of(map.across), words_of(map.down)), Anchor::start,
                 kQuietText);
  }
  return drawing;
}

}  // namespace attnlab::report
