// Loss over steps: a thin line for each seed, a thick one for their median, a colour for each arm.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "report/charts/chart_style.h"

namespace attnlab::report {
namespace {

constexpr double kLeft = 84;
constexpr double kLegendRow = 17;

// In pieces: a loss that is no number interrupts the line.
void draw_curve(Drawing& drawing, const std::vector<CurvePoint>& curve, const AxisScale& x, const AxisScale& y,
                const Ink& ink) {
  std::vector<Place> piece;
  const auto end_piece = [&] {
    if (piece.size() > 1) drawing.outline(piece, false, ink);
    piece.clear();
  };
  for (const CurvePoint& point : curve)
    if (std::isfinite(point.loss))
      piece.push_back({x(static_cast<double>(point.step)), y(point.loss)});
    else
      end_piece();
  end_piece();
}

}  // namespace

Drawing curve_chart(const ChartStyle& style, const std::string& title, const std::vector<TrainingGroup>& groups,
                    const std::vector<ArmSeries>& series) {
  std::vector<double> steps = {0}, losses;  // from 0 on, which also keeps the axis of steps linear
  for (const TrainingGroup& group : groups)
    for (const Training* training : group.seeds)
      for (const CurvePoint& point : training->curve) {
        steps.push_back(static_cast<double>(point.step));
        if (std::isfinite(point.loss)) losses.push_back(point.loss);
      }
  const double right = style.width - 30;
  const double top = top_of(style) + 12, low = top + std::min(340.0, style.width * 0.62);
  double legend_y = low + kAxisHeight + 18;
  double height = legend_y;
  std::vector<std::vector<std::string>> names;
  for (const TrainingGroup& group : groups) {
    std::string name = series_of(series, group.arms.front()).label;
    if (group.is_searched && !group.is_kept) name += fmt::format(", learning rate {:.4g}", group.learning_rate);
    if (group.arms.size() > 1) name += " and arms that share its training";
    names.push_back(wrapped(name, style.width - 66));
    height += kLegendRow * static_cast<double>(names.back().size());
  }
  Drawing drawing = begin_chart(style, height, title);
  const AxisScale x(steps, kLeft, right);
  const AxisScale y(losses, low, top + 8);
  draw_x_axis(drawing, x, kLeft, right, top, low, "");
  const std::vector<double> ticks = y.ticks(6, false);
  const std::vector<std::string> texts = tick_texts(ticks, "nats");
  for (std::size_t i = 0; i < ticks.size(); ++i) {
    drawing.line(kLeft, y(ticks[i]), right, y(ticks[i]), {.stroke = "#e4e8ec"});
    drawing.text(kLeft - 8, y(ticks[i]) + 4, texts[i], Anchor::end, kQuietText);
  }
  drawing.text(16, top - 8, "training loss in nats (↓ less is better)", Anchor::start, kQuietText);
  drawing.text(style.width / 2, low + 34, "steps", Anchor::middle, kQuietText);
  for (const bool are_medians : {false, true})
    for (const TrainingGroup& group : groups) {
      const ArmSeries& look = series_of(series, group.arms.front());
      const bool is_alone = group.seeds.size() == 1;
      const Ink ink{.stroke = colour_of(look.colour),
                    .width = are_medians || is_alone ? 2.0 : 0.6,
                    .dashes = dashes_of(look.line)};
      if (are_medians)
        draw_curve(drawing, median_curve(group), x, y, ink);
      else
        for (const Training* training : group.seeds) draw_curve(drawing, training->curve, x, y, ink);
    }
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const ArmSeries& look = series_of(series, groups[i].arms.front());
    drawing.line(16, legend_y - 4, 42, legend_y - 4,
                 {.stroke = colour_of(look.colour), .width = 2, .dashes = dashes_of(look.line)});
    for (const std::string& line : names[i]) {
      drawing.text(50, legend_y, line, Anchor::start);
      legend_y += kLegendRow;
    }
  }
  return drawing;
}

}  // namespace attnlab::report
