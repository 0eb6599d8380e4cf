// A small writer of SVG: marks in pixels, texts escaped; and axes from a figure to pixels.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace attnlab::report {

/// What a line, a circle or a text looks like, as attributes of SVG.
using Look = std::string_view;

class SvgCanvas {
 public:
  SvgCanvas(double width, double height, std::string_view title);

  void line(double x1, double y1, double x2, double y2, Look look);
  void circle(double x, double y, double radius, Look look);
  /// `anchor`: start, middle or end.
  void text(double x, double y, std::string_view words, std::string_view anchor, Look look = "");
  [[nodiscard]] std::string finish() const { return svg_ + "</svg>\n"; }

 private:
  std::string svg_;
};

/// Cut with an ellipsis where it would be wider than `pixels`, at the size that the canvas writes in.
[[nodiscard]] std::string fitted(const std::string& text, double pixels);
[[nodiscard]] double text_width(const std::string& text);

/// From values to pixels, linear, or logarithmic where positive values differ by much.
class SvgScale {
 public:
  /// `values` must not be empty. Pixels may run backwards.
  SvgScale(const std::vector<double>& values, double from, double to);

  [[nodiscard]] double operator()(double value) const;
  /// Round values inside, about `count` of them; of bytes in steps of powers of two.
  [[nodiscard]] std::vector<double> ticks(int count, bool are_bytes) const;

 private:
  bool is_log_;
  double low_, high_;  // as they are put on the axis: logarithms on a logarithmic one
  double from_, to_;
};

}  // namespace attnlab::report
