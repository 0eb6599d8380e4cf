// A figure as marks in pixels: lines, filled outlines, circles, texts. The charts draw into it once, and it is written
// as SVG or as PDF. Not here: what a chart shows (svg_chart), and axes (axis_scale).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <attnlab/api.h>

namespace attnlab::report {

struct Place {
  double x = 0, y = 0;
};

/// Colours are "#rrggbb"; an empty one draws nothing.
struct Ink {
  std::string_view stroke = {};
  double width = 1;
  std::vector<double> dashes = {};  // lengths of strokes and gaps; empty: solid
  std::string_view fill = {};
  double opacity = 1;  // of the filling
};

struct Outline {
  std::vector<Place> places;
  bool is_closed = false;
  Ink ink;
};

struct Circle {
  Place middle;
  double radius = 0;
  Ink ink;
};

enum class Anchor : std::uint8_t { start, middle, end };

struct TextLook {
  std::string_view colour = "#1b1f24";
  double size = 12;
  bool is_bold = false;
};

struct Words {
  Place place;  // on the baseline of the letters
  std::string text;
  Anchor anchor = Anchor::start;
  TextLook look;
};

class ATTNLAB_API Drawing {
 public:
  using Mark = std::variant<Outline, Circle, Words>;

  /// `points_per_pixel` is what a pixel measures on paper.
  Drawing(double width, double height, std::string title, double points_per_pixel);

  void line(double x1, double y1, double x2, double y2, Ink ink);
  void outline(std::vector<Place> places, bool is_closed, Ink ink);
  void circle(double x, double y, double radius, Ink ink);
  void text(double x, double y, std::string_view words, Anchor anchor, TextLook look = {});

  [[nodiscard]] double width() const { return width_; }
  [[nodiscard]] double height() const { return height_; }
  [[nodiscard]] double points_per_pixel() const { return points_per_pixel_; }
  [[nodiscard]] const std::string& title() const { return title_; }
  [[nodiscard]] const std::vector<Mark>& marks() const { return marks_; }

 private:
  double width_, height_, points_per_pixel_;
  std::string title_;
  std::vector<Mark> marks_;
};

/// A whole file; texts are escaped. Its size is in points, its marks in pixels.
[[nodiscard]] ATTNLAB_API std::string svg_text(const Drawing& drawing);
/// A whole file of one page, vectors throughout, with the letters that it uses embedded. The same drawing gives the
/// same bytes. Throws Error where the library refuses.
[[nodiscard]] ATTNLAB_API std::string pdf_text(const Drawing& drawing);

/// Pixels that a text of 12 px takes, on average; letters of `size` take their share of it.
[[nodiscard]] double text_width(std::string_view text, double size = 12);
/// `most`, or less where the text would not fit into so many pixels.
[[nodiscard]] double size_that_fits(std::string_view text, double pixels, double most = 12);
/// In lines of at most `pixels`, broken after blanks and after / , ( where there are any, else anywhere: nothing is
/// left out.
[[nodiscard]] ATTNLAB_API std::vector<std::string> wrapped(const std::string& text, double pixels);

}  // namespace attnlab::report
