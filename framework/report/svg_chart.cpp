#include "report/svg_chart.h"

#include <algorithm>
#include <cmath>
#include <set>

#include <fmt/format.h>

#include "report/format.h"
#include "report/metrics.h"
#include "report/svg_canvas.h"
#include "report/text_file.h"
#include "report/tradeoffs.h"

namespace attnlab::report {
namespace {

namespace fs = std::filesystem;

constexpr double kWidth = 760;
constexpr std::size_t kLongestName = 120;
constexpr double kLeft = 84;    // where a chart of points begins
constexpr double kRow = 20;     // of a chart of rows
constexpr double kTop = 44;     // title
constexpr double kBottom = 42;  // axis and its name
constexpr Look kTitle = "font-size=\"14\" font-weight=\"600\"";
constexpr Look kQuiet = "fill=\"#5c6570\"";
constexpr Look kGrid = "stroke=\"#e4e8ec\"";
constexpr Look kReference = "stroke=\"#5c6570\" stroke-dasharray=\"3 3\"";
constexpr Look kInterval = "stroke=\"#0b6cb8\" stroke-width=\"2\"";
constexpr Look kFilled = "fill=\"#0b6cb8\" stroke=\"#0b6cb8\" stroke-width=\"2\"";
constexpr Look kHollow = "fill=\"#ffffff\" stroke=\"#0b6cb8\" stroke-width=\"2\"";
constexpr Look kBaseline = "fill=\"#d1560a\" stroke=\"#d1560a\" stroke-width=\"2\"";
constexpr Look kFront = "stroke=\"#8a94a0\" stroke-width=\"2\" stroke-dasharray=\"5 4\"";

std::string better_text(const std::string& better) {
  if (better == "higher") return " (↑ more is better)";
  if (better == "lower") return " (↓ less is better)";
  return {};
}

// "perplexity", "decode tokens/s of speed q1s1k"
std::string measure_title(const Measure& measure) {
  const std::string heading(metric_heading(measure.metric));
  const std::string title = case_title(measure.entry);
  return heading == title ? heading : heading + " of " + title;
}

// A file name without its ending: whatever else may stand in a case becomes a dash, and no name is too long for a disk.
std::string file_part(const std::string& text) {
  std::string part;
  for (const char letter : text)
    part += std::isalnum(static_cast<unsigned char>(letter)) || letter == '_' ? letter : '-';
  return part.substr(0, kLongestName);
}

bool ends_at(const std::optional<Interval>& interval) {
  return interval && std::isfinite(interval->low) && std::isfinite(interval->high) && interval->low != interval->high;
}

void draw_x_axis(SvgCanvas& canvas, const SvgScale& scale, double top, double bottom, const std::string& unit,
                 int count) {
  for (const double tick : scale.ticks(count, unit == "bytes")) {
    canvas.line(scale(tick), top, scale(tick), bottom, kGrid);
    canvas.text(scale(tick), bottom + 16, format_value(tick, unit), "middle", kQuiet);
  }
}

using Rows = std::vector<const SummaryRow*>;

std::string row_chart(const std::string& title, const Rows& rows, const std::string& baseline) {
  double longest = 40;
  std::vector<double> values;
  for (const SummaryRow* row : rows) {
    longest = std::max(longest, text_width(row->arm));
    values.push_back(row->estimate.median);
    if (ends_at(row->estimate.interval))
      values.insert(values.end(), {row->estimate.interval->low, row->estimate.interval->high});
  }
  const double left = std::min(longest, 280.0) + 32;
  const double right = kWidth - 90;
  const double bottom = kTop + kRow * static_cast<double>(rows.size()) + 8;
  const std::string& unit = rows.front()->unit;
  SvgCanvas canvas(kWidth, bottom + kBottom - 14, title);
  canvas.text(16, 26, fitted(title + better_text(rows.front()->better), (kWidth - 32) * 0.86), "start", kTitle);
  const SvgScale scale(values, left, right);
  draw_x_axis(canvas, scale, kTop - 4, bottom, unit, 6);
  double y = kTop + kRow / 2;
  for (const SummaryRow* row : rows) {
    const bool is_baseline = row->arm == baseline;
    if (is_baseline)
      canvas.line(scale(row->estimate.median), kTop - 4, scale(row->estimate.median), bottom, kReference);
    if (ends_at(row->estimate.interval))
      canvas.line(scale(row->estimate.interval->low), y, scale(row->estimate.interval->high), y, kInterval);
    canvas.circle(scale(row->estimate.median), y, 4.5,
                  is_baseline                     ? kBaseline
                  : row->is_marked || !row->ratio ? kFilled
                                                  : kHollow);
    canvas.text(left - 12, y + 4, fitted(row->arm, left - 28), "end", is_baseline ? "font-weight=\"600\"" : "");
    canvas.text(right + 12, y + 4, format_value(row->estimate.median, unit), "start");
    y += kRow;
  }
  return canvas.finish();
}

// Names beside points where they overlap nothing that was written before: right, left, above, below.
class Labels {
 public:
  explicit Labels(SvgCanvas& canvas) : canvas_(canvas) {}

  void block(double x, double y) { boxes_.push_back({x - 6, y - 6, x + 6, y + 6}); }
  void write(double x, double y, const std::string& text, Look look) {
    const double width = text_width(text);
    for (const auto& [left, top] :
         {std::pair{x + 8, y - 7}, {x - 8 - width, y - 7}, {x - width / 2, y - 21}, {x - width / 2, y + 7}}) {
      const Box box{left, top, left + width, top + 14};
      if (box.left < kLeft || box.right > kWidth - 8 || box.top < kTop - 12) continue;
      if (std::ranges::any_of(boxes_, [&](const Box& other) { return overlap(box, other); })) continue;
      boxes_.push_back(box);
      canvas_.text(left, top + 11, text, "start", look);
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

  SvgCanvas& canvas_;
  std::vector<Box> boxes_;
};

std::string point_chart(const std::string& title, const Tradeoff& tradeoff, const std::string& baseline) {
  constexpr double kHeight = 440;
  constexpr double kRight = kWidth - 30, kLow = kHeight - kBottom - 12;
  std::vector<double> xs, ys;
  std::vector<const TradeoffPoint*> front;
  for (const TradeoffPoint& point : tradeoff.points) {
    xs.push_back(point.cost);
    ys.push_back(point.quality);
    if (ends_at(point.cost_interval)) xs.insert(xs.end(), {point.cost_interval->low, point.cost_interval->high});
    if (ends_at(point.quality_interval))
      ys.insert(ys.end(), {point.quality_interval->low, point.quality_interval->high});
    if (point.is_on_front) front.push_back(&point);
  }
  std::ranges::sort(front, {}, [](const TradeoffPoint* point) { return point->cost; });
  SvgCanvas canvas(kWidth, kHeight, title);
  canvas.text(16, 26, fitted(title, (kWidth - 32) * 0.86), "start", kTitle);
  const SvgScale x(xs, kLeft, kRight);
  const SvgScale y(ys, kLow, kTop + 20);
  draw_x_axis(canvas, x, kTop + 12, kLow, tradeoff.cost.unit, 6);
  for (const double tick : y.ticks(6, tradeoff.quality.unit == "bytes")) {
    canvas.line(kLeft, y(tick), kRight, y(tick), kGrid);
    canvas.text(kLeft - 8, y(tick) + 4, format_value(tick, tradeoff.quality.unit), "end", kQuiet);
  }
  const auto axis_name = [](const Measure& measure) { return measure_title(measure) + better_text(measure.better); };
  canvas.text(16, kTop + 4, axis_name(tradeoff.quality), "start", kQuiet);
  canvas.text((kLeft + kRight) / 2, kHeight - 14, axis_name(tradeoff.cost), "middle", kQuiet);
  for (std::size_t i = 1; i < front.size(); ++i)
    canvas.line(x(front[i - 1]->cost), y(front[i - 1]->quality), x(front[i]->cost), y(front[i]->quality), kFront);
  Labels labels(canvas);
  for (const TradeoffPoint& point : tradeoff.points) {
    const double px = x(point.cost), py = y(point.quality);
    if (ends_at(point.cost_interval))
      canvas.line(x(point.cost_interval->low), py, x(point.cost_interval->high), py, kInterval);
    if (ends_at(point.quality_interval))
      canvas.line(px, y(point.quality_interval->low), px, y(point.quality_interval->high), kInterval);
    canvas.circle(px, py, 5, point.arm == baseline ? kBaseline : point.is_on_front ? kFilled : kHollow);
    labels.block(px, py);
  }
  for (const bool on_front : {true, false})  // what matters gets its place first
    for (const TradeoffPoint& point : tradeoff.points)
      if (point.is_on_front == on_front)
        labels.write(x(point.cost), y(point.quality), point.arm, point.arm == baseline ? "font-weight=\"600\"" : "");
  return canvas.finish();
}

std::vector<Rows> rows_of_charts(const Results& results) {
  std::vector<Rows> charts;
  for (const CaseLayout& entry : results.layout.cases)
    for (const MetricInfo& metric : standard_metrics()) {
      if (metric.headline != Headline::everywhere) continue;
      Rows rows;
      std::set<double> values;
      for (const SummaryRow& row : results.summary.rows) {
        if (!row.is_ok() || row.metric != metric.name || !std::isfinite(row.estimate.median)) continue;
        if (row.workload != entry.workload || row.case_name != entry.case_name) continue;
        rows.push_back(&row);
        values.insert(row.estimate.median);
      }
      if (values.size() > 1) charts.push_back(std::move(rows));
    }
  return charts;
}

}  // namespace

std::vector<StaticChart> static_charts(const Results& results) {
  std::vector<StaticChart> charts;
  std::set<std::string> files;
  const auto add = [&](const std::string& name, const std::string& title, std::string svg) {
    std::string file = "charts/" + file_part(name) + ".svg";
    for (int copy = 2; !files.insert(file).second; ++copy)
      file = fmt::format("charts/{}-{}.svg", file_part(name), copy);
    charts.push_back({file, title, std::move(svg)});
  };
  const std::string& baseline = results.layout.baseline;
  for (const Tradeoff& tradeoff : tradeoffs(results)) {
    const std::string title = measure_title(tradeoff.quality) + " against " + measure_title(tradeoff.cost);
    add(fmt::format("{}-{}-against-{}-{}", case_title(tradeoff.quality.entry), tradeoff.quality.metric,
                    case_title(tradeoff.cost.entry), tradeoff.cost.metric),
        title, point_chart(title, tradeoff, baseline));
  }
  for (const Rows& rows : rows_of_charts(results)) {
    const CaseLayout entry{rows.front()->workload, rows.front()->case_name};
    const std::string title = fmt::format("{}, {}", metric_heading(rows.front()->metric), case_title(entry));
    add(case_title(entry) + "-" + rows.front()->metric, title, row_chart(title, rows, baseline));
  }
  return charts;
}

std::string chart_links(const Results& results) {
  std::string text;
  for (const StaticChart& chart : static_charts(results))
    text += fmt::format("![{}]({})\n\n", markdown_text(chart.title), chart.file);
  if (text.empty()) return text;
  return "## Charts\n\nOrange: the baseline. Filled: a marked difference, or on the Pareto front (dashed). Lines: 95 % "
         "intervals.\n\n" +
         text;
}

void write_charts(const fs::path& results_folder, const std::vector<StaticChart>& charts) {
  std::error_code ignored;
  const fs::path folder = results_folder / "charts";
  std::set<fs::path> kept;
  if (!charts.empty()) fs::create_directories(folder, ignored);  // what is wrong shows when a file is written
  for (const StaticChart& chart : charts) {
    write_atomically(results_folder / chart.file, chart.svg);
    kept.insert(results_folder / chart.file);
  }
  std::vector<fs::path> stale;
  for (fs::directory_iterator entry(folder, ignored), end; !ignored && entry != end; entry.increment(ignored))
    if (entry->path().extension() == ".svg" && !kept.contains(entry->path())) stale.push_back(entry->path());
  for (const fs::path& path : stale) fs::remove(path, ignored);
}

}  // namespace attnlab::report
