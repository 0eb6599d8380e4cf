#include "report/svg_canvas.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "report/format.h"
#include "report/html.h"

namespace attnlab::report {
namespace {

constexpr double kLetter = 6.6;   // pixels of a letter of 12 px, on average
constexpr double kLogFrom = 12;   // the ratio of values from which an axis is logarithmic
constexpr double kMargin = 0.06;  // of the axis left free at either end

}  // namespace

SvgCanvas::SvgCanvas(double width, double height, std::string_view title) {
  svg_ = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" viewBox=\"0 0 {0:.0f} {1:.0f}\" "
      "role=\"img\" font-family=\"system-ui, 'Segoe UI', 'Liberation Sans', Arial, sans-serif\" font-size=\"12\" "
      "fill=\"#1b1f24\">\n<title>{2}</title>\n"
      "<rect x=\"0.5\" y=\"0.5\" width=\"{3:.0f}\" height=\"{4:.0f}\" rx=\"6\" fill=\"#ffffff\" stroke=\"#d9dee4\"/>\n",
      width, height, html_text(one_line(title)), width - 1, height - 1);
}

void SvgCanvas::line(double x1, double y1, double x2, double y2, Look look) {
  svg_ += fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" {}/>\n", x1, y1, x2, y2, look);
}

void SvgCanvas::circle(double x, double y, double radius, Look look) {
  svg_ += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{:.1f}\" {}/>\n", x, y, radius, look);
}

void SvgCanvas::text(double x, double y, std::string_view words, std::string_view anchor, Look look) {
  svg_ += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" {}>{}</text>\n", x, y, anchor, look,
                      html_text(one_line(words)));
}

double text_width(const std::string& text) {
  return terminal_width(text) * kLetter;
}

std::string fitted(const std::string& text, double pixels) {
  if (text_width(text) <= pixels) return text;
  const int letters = std::max(1, static_cast<int>(pixels / kLetter) - 1);
  std::string cut;
  int count = 0;
  for (const char letter : text) {
    if ((letter & 0xc0) != 0x80 && ++count > letters) break;  // whole code points only
    cut += letter;
  }
  return cut + "…";
}

SvgScale::SvgScale(const std::vector<double>& values, double from, double to) : from_(from), to_(to) {
  const auto [least, most] = std::ranges::minmax(values);
  is_log_ = least > 0 && most / least >= kLogFrom;
  low_ = is_log_ ? std::log(least) : least;
  high_ = is_log_ ? std::log(most) : most;
  if (high_ - low_ < 1e-12 * std::max(1.0, std::abs(high_))) {  // one value: in the middle
    const double room = high_ == 0 ? 1 : std::abs(high_) * 0.1;
    low_ -= room;
    high_ += room;
  }
  const double room = (high_ - low_) * kMargin;
  low_ -= room;
  high_ += room;
}

double SvgScale::operator()(double value) const {
  const double place = is_log_ ? std::log(value) : value;
  return from_ + (to_ - from_) * (place - low_) / (high_ - low_);
}

std::vector<double> SvgScale::ticks(int count, bool are_bytes) const {
  std::vector<double> all;
  const double base = are_bytes ? 2 : 10;
  if (is_log_) {
    for (double power = std::pow(base, std::floor(low_ / std::log(base))); std::log(power) <= high_; power *= base)
      for (const double step : {1.0, 2.0, 5.0})
        if (const double tick = step * power;
            (step == 1 || !are_bytes) && std::log(tick) >= low_ && std::log(tick) <= high_)
          all.push_back(tick);
    const std::size_t skip = (all.size() + count - 1) / std::max(1, count);
    std::vector<double> thinned;
    for (std::size_t i = 0; i < all.size(); i += std::max<std::size_t>(skip, 1)) thinned.push_back(all[i]);
    return thinned;
  }
  const double rough = (high_ - low_) / count;
  const double power = std::pow(base, std::floor(std::log(rough) / std::log(base)));
  double step = power;
  for (const double factor : {1.0, 2.0, 5.0, 10.0}) {
    step = power * factor;
    if (step >= rough) break;
  }
  for (double tick = std::ceil(low_ / step) * step; tick <= high_; tick += step)
    all.push_back(std::abs(tick) < step * 1e-9 ? 0 : tick);
  return all;
}

}  // namespace attnlab::report
