// Quality against cost: a point for each arm, a curve with its band for each series, the Pareto front, and what every
// colour and mark stands for below.
#include <algorithm>

#include "report/charts/chart_style.h"

namespace attnlab::report {
namespace {

constexpr double kLeft = 84;
constexpr double kLegendRow = 17;
constexpr double kLegendMark = 34;  // pixels before the text
constexpr double kBandOpacity = 0.16;

// Names beside points where they overlap nothing that was written before: right, left, above, below.
class Labels {
 public:
  Labels(Drawing& drawing, double top, double bottom) : drawing_(drawing), top_(top), bottom_(bottom) {}

  void block(Place place) { boxes_.push_back({place.x - 6, place.y - 6, place.x + 6, place.y + 6}); }
  void write(Place place, const std::string& text, TextLook look) {
    const double width = text_width(text);
    for (const auto& [left, top] : {std::pair{place.x + 8, place.y - 7},
                                    {place.x - 8 - width, place.y - 7},
                                    {place.x - width / 2, place.y - 21},
                                    {place.x - width / 2, place.y + 7}}) {
      const Box box{left, top, left + width, top + 14};
      if (box.left < kLeft || box.right > drawing_.width() - 8 || box.top < top_ || box.bottom > bottom_) continue;
      if (std::ranges::any_of(boxes_, [&](const Box& other) { return overlap(box, other); })) continue;
      boxes_.push_back(box);
      drawing_.text(left, top + 11, text, Anchor::start, look);
      return;
    }
  }

 private:
  struct Box {
    double left, top, right, bottom;
  };
  static bool overlap(const Box& a, const Box& b) {
    return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  }

  Drawing& drawing_;
  double top_, bottom_;
  std::vector<Box> boxes_;
};

// One entry for each series that has a point here, in the order of the arms.
struct LegendEntry {
  const ArmSeries* series;
  bool is_baseline;
  std::vector<std::string> lines;
};

std::vector<LegendEntry> legend_of(const Tradeoff& tradeoff, const std::string& baseline,
                                   const std::vector<ArmSeries>& series, double width) {
  std::vector<LegendEntry> entries;
  for (const TradeoffPoint& point : tradeoff.points) {
    const ArmSeries& own = series_of(series, point.arm);
    const bool is_known =
        std::ranges::any_of(entries, [&](const LegendEntry& entry) { return entry.series->series == own.series; });
    if (is_known) continue;
    // One point alone has its own name; a curve says what moves along it.
    const std::string text = own.point.empty() ? own.label : own.series + ", by " + own.varied;
    entries.push_back({&own, point.arm == baseline, wrapped(text, width - kLegendMark)});
  }
  return entries;
}

std::vector<std::vector<LegendEntry>> in_columns(std::vector<LegendEntry> entries, double width, int& columns) {
  double longest = 0;
  for (const LegendEntry& entry : entries)
    for (const std::string& line : entry.lines) longest = std::max(longest, text_width(line) + kLegendMark + 12);
  columns = std::clamp(static_cast<int>(width / std::max(longest, 1.0)), 1, 4);
  std::vector<std::vector<LegendEntry>> rows;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (i % static_cast<std::size_t>(columns) == 0) rows.emplace_back();
    rows.back().push_back(std::move(entries[i]));
  }
  return rows;
}

double height_of(const std::vector<LegendEntry>& row) {
  std::size_t lines = 1;
  for (const LegendEntry& entry : row) lines = std::max(lines, entry.lines.size());
  return kLegendRow * static_cast<double>(lines);
}

}  // namespace

Drawing point_chart(const ChartStyle& style, const std::string& title, const Tradeoff& tradeoff,
                    const std::string& baseline, const std::vector<ArmSeries>& series) {
  const double right = style.width - 30;
  const double top = top_of(style) + 12, low = top + std::min(340.0, style.width * 0.62);
  int columns = 1;
  const auto legend = in_columns(legend_of(tradeoff, baseline, series, style.width - 32), style.width - 32, columns);
  const double legend_top = low + kAxisHeight + 18;
  double height = legend_top;
  for (const auto& row : legend) height += height_of(row);

  std::vector<double> xs, ys;
  std::vector<const TradeoffPoint*> front;
  for (const TradeoffPoint& point : tradeoff.points) {
    xs.push_back(point.cost);
    ys.push_back(point.quality);
    if (has_width(point.cost_interval)) xs.insert(xs.end(), {point.cost_interval->low, point.cost_interval->high});
    if (has_width(point.quality_interval))
      ys.insert(ys.end(), {point.quality_interval->low, point.quality_interval->high});
    if (has_width(point.quality_seeds)) ys.insert(ys.end(), {point.quality_seeds->low, point.quality_seeds->high});
    if (point.is_on_front) front.push_back(&point);
  }
  std::ranges::sort(front, {}, [](const TradeoffPoint* point) { return point->cost; });
  Drawing drawing = begin_chart(style, height, title);
  const AxisScale x(xs, kLeft, right);
  const AxisScale y(ys, low, top + 8);
  const auto place = [&](const TradeoffPoint& point) { return Place{x(point.cost), y(point.quality)}; };
  draw_x_axis(drawing, x, kLeft, right, top, low, tradeoff.cost.unit);
  const std::vector<double> ticks = y.ticks(6, tradeoff.quality.unit == "bytes");
  const std::vector<std::string> texts = tick_texts(ticks, tradeoff.quality.unit);
  for (std::size_t i = 0; i < ticks.size(); ++i) {
    drawing.line(kLeft, y(ticks[i]), right, y(ticks[i]), {.stroke = "#e4e8ec"});
    drawing.text(kLeft - 8, y(ticks[i]) + 4, texts[i], Anchor::end, kQuietText);
  }
  const auto axis_name = [](const Measure& measure) { return measure_title(measure) + better_text(measure.better); };
  const auto axis_look = [&](const std::string& name) {
    return TextLook{.colour = kQuiet, .size = size_that_fits(name, style.width - 32)};
  };
  const std::string y_name = axis_name(tradeoff.quality), x_name = axis_name(tradeoff.cost);
  drawing.text(16, top - 8, y_name, Anchor::start, axis_look(y_name));
  drawing.text(style.width / 2, low + 34, x_name, Anchor::middle, axis_look(x_name));

  for (const Curve& curve : tradeoff.curves) {
    const ArmSeries& look = series_of(series, tradeoff.points[curve.points.front()].arm);
    std::vector<Place> line, upper, lower;
    for (const std::size_t index : curve.points) {
      const TradeoffPoint& point = tradeoff.points[index];
      line.push_back(place(point));
      if (!point.quality_interval) continue;
      upper.push_back({x(point.cost), y(point.quality_interval->high)});
      lower.push_back({x(point.cost), y(point.quality_interval->low)});
    }
    if (upper.size() == line.size()) {  // a band over a point without an interval would say what is not known
      upper.insert(upper.end(), lower.rbegin(), lower.rend());
      drawing.outline(std::move(upper), true, {.fill = colour_of(look.colour), .opacity = kBandOpacity});
    }
    drawing.outline(std::move(line), false,
                    {.stroke = colour_of(look.colour), .width = 2, .dashes = dashes_of(look.line)});
  }
  if (front.size() > 1) {
    std::vector<Place> line;
    for (const TradeoffPoint* point : front) line.push_back(place(*point));
    drawing.outline(std::move(line), false, {.stroke = "#8a94a0", .width = 1.5, .dashes = {1, 3}});
  }
  Labels labels(drawing, top - 4, low);
  for (const TradeoffPoint& point : tradeoff.points) {
    const ArmSeries& look = series_of(series, point.arm);
    const Place at = place(point);
    const Ink ink{.stroke = colour_of(look.colour), .width = 2};
    if (has_width(point.quality_seeds))
      draw_seeds(drawing, {at.x, y(point.quality_seeds->low)}, {at.x, y(point.quality_seeds->high)}, look.colour);
    if (has_width(point.cost_interval))
      drawing.line(x(point.cost_interval->low), at.y, x(point.cost_interval->high), at.y, ink);
    if (has_width(point.quality_interval))
      drawing.line(at.x, y(point.quality_interval->low), at.x, y(point.quality_interval->high), ink);
    draw_mark(drawing, at, look, point.is_on_front, point.arm == baseline);
    labels.block(at);
  }
  for (const bool on_front : {true, false})  // what matters gets its place first
    for (const TradeoffPoint& point : tradeoff.points) {
      const ArmSeries& look = series_of(series, point.arm);
      if (point.is_on_front == on_front)
        labels.write(place(point), look.point.empty() ? look.label : look.point, {.is_bold = point.arm == baseline});
    }

  double line_y = legend_top;
  for (const auto& row : legend) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      const LegendEntry& entry = row[i];
      const double left = 16 + (style.width - 32) / columns * static_cast<double>(i);
      if (!entry.series->point.empty())
        drawing.line(left, line_y - 4, left + 26, line_y - 4,
                     {.stroke = colour_of(entry.series->colour), .width = 2, .dashes = dashes_of(entry.series->line)});
      draw_mark(drawing, {left + 13, line_y - 4}, *entry.series, true, entry.is_baseline);
      for (std::size_t line = 0; line < entry.lines.size(); ++line)
        drawing.text(left + kLegendMark, line_y + kLegendRow * static_cast<double>(line), entry.lines[line],
                     Anchor::start, {.is_bold = entry.is_baseline});
    }
    line_y += height_of(row);
  }
  return drawing;
}

}  // namespace attnlab::report
