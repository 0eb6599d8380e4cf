#include "report/charts/drawing.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "base/utf8.h"
#include "report/read/format.h"

namespace attnlab::report {
namespace {

constexpr double kLetter = 6.6;  // pixels of a letter of 12 px, on average

std::string ink_attributes(const Ink& ink) {
  std::string text = fmt::format("fill=\"{}\"", ink.fill.empty() ? "none" : ink.fill);
  if (ink.opacity < 1) text += fmt::format(" fill-opacity=\"{:.2g}\"", ink.opacity);
  if (!ink.stroke.empty()) text += fmt::format(" stroke=\"{}\" stroke-width=\"{:.3g}\"", ink.stroke, ink.width);
  if (!ink.stroke.empty() && !ink.dashes.empty())
    text += fmt::format(" stroke-dasharray=\"{:.3g}\"", fmt::join(ink.dashes, " "));
  return text;
}

std::string mark_text(const Outline& outline) {
  if (outline.places.size() == 2 && !outline.is_closed) {
    const auto [from, to] = std::pair(outline.places.front(), outline.places.back());
    return fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" {}/>\n", from.x, from.y, to.x,
                       to.y, ink_attributes(outline.ink));
  }
  std::string points;
  for (const Place& place : outline.places)
    points += fmt::format("{}{:.1f},{:.1f}", points.empty() ? "" : " ", place.x, place.y);
  return fmt::format("<{} points=\"{}\" {}/>\n", outline.is_closed ? "polygon" : "polyline", points,
                     ink_attributes(outline.ink));
}

std::string mark_text(const Circle& circle) {
  return fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{:.1f}\" {}/>\n", circle.middle.x, circle.middle.y,
                     circle.radius, ink_attributes(circle.ink));
}

std::string mark_text(const Words& words) {
  constexpr std::array kAnchors = {"start", "middle", "end"};
  std::string look = fmt::format("fill=\"{}\"", words.look.colour);
  if (words.look.size != TextLook{}.size) look += fmt::format(" font-size=\"{:g}\"", words.look.size);
  if (words.look.is_bold) look += " font-weight=\"600\"";
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" {}>{}</text>\n", words.place.x, words.place.y,
                     kAnchors[static_cast<std::size_t>(words.anchor)], look, html_text(words.text));
}

bool may_break_after(char letter) {
  return letter == ' ' || letter == '/' || letter == ',' || letter == '(';
}

}  // namespace

Drawing::Drawing(double width, double height, std::string title, double points_per_pixel)
    : width_(width), height_(height), points_per_pixel_(points_per_pixel), title_(std::move(title)) {}

void Drawing::line(double x1, double y1, double x2, double y2, Ink ink) {
  marks_.emplace_back(Outline{{{x1, y1}, {x2, y2}}, false, std::move(ink)});
}

void Drawing::outline(std::vector<Place> places, bool is_closed, Ink ink) {
  marks_.emplace_back(Outline{std::move(places), is_closed, std::move(ink)});
}

void Drawing::circle(double x, double y, double radius, Ink ink) {
  marks_.emplace_back(Circle{{x, y}, radius, std::move(ink)});
}

void Drawing::text(double x, double y, std::string_view words, Anchor anchor, TextLook look) {
  marks_.emplace_back(Words{{x, y}, one_line(words), anchor, look});
}

std::string svg_text(const Drawing& drawing) {
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.2f}pt\" height=\"{1:.2f}pt\" viewBox=\"0 0 {2:.0f} "
      "{3:.0f}\" role=\"img\" font-family=\"Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif\" "
      "font-size=\"12\">\n<title>{4}</title>\n",
      drawing.width() * drawing.points_per_pixel(), drawing.height() * drawing.points_per_pixel(), drawing.width(),
      drawing.height(), html_text(one_line(drawing.title())));
  for (const Drawing::Mark& mark : drawing.marks())
    svg += std::visit([](const auto& one) { return mark_text(one); }, mark);
  return svg + "</svg>\n";
}

double text_width(std::string_view text, double size) {
  return terminal_width(text) * kLetter * size / 12;
}

double size_that_fits(std::string_view text, double pixels, double most) {
  const double width = text_width(text, most);
  return width <= pixels ? most : most * pixels / width;
}

std::vector<std::string> wrapped(const std::string& text, double pixels) {
  const auto most = static_cast<std::size_t>(std::max(4.0, pixels / kLetter));
  std::vector<std::string> lines;
  std::string line;
  std::size_t letters = 0, break_bytes = 0, break_letters = 0;  // of the line; up to the last place to break at
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t next = i + static_cast<std::size_t>(first_character(std::string_view(text).substr(i)).bytes);
    if (letters == most) {
      const bool has_break = break_bytes > 0;
      lines.push_back(has_break ? line.substr(0, break_bytes) : line);
      line = has_break ? line.substr(break_bytes) : "";
      letters = has_break ? letters - break_letters : 0;
      break_bytes = break_letters = 0;
    }
    line.append(text, i, next - i);
    ++letters;
    if (may_break_after(text[i])) {
      break_bytes = line.size();
      break_letters = letters;
    }
    i = next;
  }
  lines.push_back(line);
  for (std::string& one : lines)
    while (one.ends_with(' ') && one.size() > 1) one.pop_back();
  return lines;
}

}  // namespace attnlab::report
