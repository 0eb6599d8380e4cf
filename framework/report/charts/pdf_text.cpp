// A drawing as PDF, by way of cairo: the only file that knows it.
#include <cairo-pdf.h>

#include <array>
#include <cstdlib>
#include <memory>

#include <attnlab/error.h>

#include "report/charts/drawing.h"

namespace attnlab::report {
namespace {

// As in the SVG; fontconfig takes what is nearest, and cairo puts the letters that are used into the file.
constexpr const char* kFont = "Helvetica";

void set_colour(cairo_t* cairo, std::string_view colour, double opacity) {
  const auto part = [&](std::size_t from) {
    return static_cast<double>(std::strtol(std::string(colour.substr(from, 2)).c_str(), nullptr, 16)) / 255;
  };
  cairo_set_source_rgba(cairo, part(1), part(3), part(5), opacity);
}

// Fills and strokes the path that is there.
void ink_path(cairo_t* cairo, const Ink& ink) {
  if (!ink.fill.empty()) {
    set_colour(cairo, ink.fill, ink.opacity);
    cairo_fill_preserve(cairo);
  }
  if (!ink.stroke.empty()) {
    set_colour(cairo, ink.stroke, 1);
    cairo_set_line_width(cairo, ink.width);
    cairo_set_dash(cairo, ink.dashes.data(), static_cast<int>(ink.dashes.size()), 0);
    cairo_stroke_preserve(cairo);
  }
  cairo_new_path(cairo);
}

void draw(cairo_t* cairo, const Outline& outline) {
  for (const Place& place : outline.places) cairo_line_to(cairo, place.x, place.y);
  if (outline.is_closed) cairo_close_path(cairo);
  ink_path(cairo, outline.ink);
}

void draw(cairo_t* cairo, const Circle& circle) {
  constexpr double kTurn = 6.283185307179586;
  cairo_arc(cairo, circle.middle.x, circle.middle.y, circle.radius, 0, kTurn);
  ink_path(cairo, circle.ink);
}

void draw(cairo_t* cairo, const Words& words) {
  constexpr std::array kBefore = {0.0, 0.5, 1.0};  // share of the width that stands left of the place
  cairo_select_font_face(cairo, kFont, CAIRO_FONT_SLANT_NORMAL,
                         words.look.is_bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
  cairo_set_font_size(cairo, words.look.size);
  cairo_text_extents_t extents;
  cairo_text_extents(cairo, words.text.c_str(), &extents);
  set_colour(cairo, words.look.colour, 1);
  cairo_move_to(cairo, words.place.x - kBefore[static_cast<std::size_t>(words.anchor)] * extents.x_advance,
                words.place.y);
  cairo_show_text(cairo, words.text.c_str());
  cairo_new_path(cairo);
}

cairo_status_t append(void* text, const unsigned char* data, unsigned int length) {
  static_cast<std::string*>(text)->append(reinterpret_cast<const char*>(data), length);
  return CAIRO_STATUS_SUCCESS;
}

}  // namespace

std::string pdf_text(const Drawing& drawing) {
  std::string pdf;
  const double scale = drawing.points_per_pixel();
  const std::unique_ptr<cairo_surface_t, decltype(&cairo_surface_destroy)> surface(
      cairo_pdf_surface_create_for_stream(append, &pdf, drawing.width() * scale, drawing.height() * scale),
      cairo_surface_destroy);
  cairo_pdf_surface_set_metadata(surface.get(), CAIRO_PDF_METADATA_TITLE, drawing.title().c_str());
  // Without the time of writing the same results give the same file.
  cairo_pdf_surface_set_metadata(surface.get(), CAIRO_PDF_METADATA_CREATE_DATE, "2000-01-01T00:00:00Z");
  const std::unique_ptr<cairo_t, decltype(&cairo_destroy)> cairo(cairo_create(surface.get()), cairo_destroy);
  cairo_scale(cairo.get(), scale, scale);
  for (const Drawing::Mark& mark : drawing.marks()) std::visit([&](const auto& one) { draw(cairo.get(), one); }, mark);
  cairo_show_page(cairo.get());
  cairo_surface_finish(surface.get());
  for (const cairo_status_t status : {cairo_status(cairo.get()), cairo_surface_status(surface.get())})
    if (status != CAIRO_STATUS_SUCCESS)
      throw Error("", std::string("a figure cannot be written as PDF: ") + cairo_status_to_string(status));
  return pdf;
}

}  // namespace attnlab::report
