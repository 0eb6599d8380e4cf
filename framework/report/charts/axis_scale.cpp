#include "report/charts/axis_scale.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include <fmt/format.h>

#include "report/read/format.h"

namespace attnlab::report {
namespace {

constexpr double kMargin = 0.06;  // of the axis left free at either end
constexpr int kMostDigits = 12;

struct Prefix {
  double size = 1;
  std::string after;
};

// The prefix that the greatest of the ticks is written with.
Prefix prefix_of(double greatest, const std::string& unit) {
  const auto largest = [&](double step, double size, const auto& names) {
    Prefix prefix{size, names[0]};
    for (std::size_t i = 1; i < names.size() && greatest >= prefix.size * step; ++i)
      prefix = {prefix.size * step, names[i]};
    return prefix;
  };
  if (unit == "bytes") return largest(1024, 1, std::array{" B", " KiB", " MiB", " GiB", " TiB"});
  if (unit == "s") return largest(1000, 1e-9, std::array{" ns", " \u00b5s", " ms", " s"});
  if (unit == "share") return {0.01, " %"};
  if (unit == "tokens/s" || unit == "bytes/s" || unit == "FLOP/s")
    return largest(1000, 1, std::array{"", " k", " M", " G", " T"});
  return {};
}

bool tell_apart(const std::vector<std::string>& texts) {
  return std::set<std::string>(texts.begin(), texts.end()).size() == texts.size();
}

}  // namespace

AxisScale::AxisScale(const std::vector<double>& values, double from, double to) : from_(from), to_(to) {
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

double AxisScale::operator()(double value) const {
  const double place = is_log_ ? std::log(value) : value;
  return from_ + (to_ - from_) * (place - low_) / (high_ - low_);
}

std::vector<double> AxisScale::ticks(int count, bool are_bytes) const {
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

std::vector<std::string> tick_texts(const std::vector<double>& ticks, const std::string& unit) {
  std::vector<std::string> texts;
  double greatest = 0;
  for (const double tick : ticks) {
    texts.push_back(format_value(tick, unit));
    greatest = std::max(greatest, std::abs(tick));
  }
  const Prefix prefix = prefix_of(greatest, unit);
  for (int digits = 1; digits <= kMostDigits && !tell_apart(texts); ++digits)
    for (std::size_t i = 0; i < ticks.size(); ++i)
      texts[i] = fmt::format("{:.{}f}{}", ticks[i] / prefix.size, digits, prefix.after);
  return texts;
}

}  // namespace attnlab::report
