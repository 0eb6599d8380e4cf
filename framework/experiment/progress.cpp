#include "experiment/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "report/format.h"
#include "report/metrics.h"
#include "report/statistics.h"

namespace attnlab::experiment {
namespace {

constexpr int kBarWidth = 20;
constexpr std::size_t kShownMedians = 2;

int terminal_columns() {
  winsize size{};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

// What a reader wants to see settle: rates and quality. Bytes do not change from round to round.
bool is_shown(const report::MetricInfo& metric) {
  return metric.headline == report::Headline::everywhere && metric.name.find("bytes") == std::string_view::npos;
}

std::string duration_text(double seconds) {
  const int whole = static_cast<int>(std::max(seconds, 0.0) + 0.5);
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole % 3600 / 60);
}

// Cut to so many columns, between characters.
std::string cut(std::string text, int columns) {
  while (report::terminal_width(text) > columns) {
    do text.pop_back();
    while (!text.empty() && (static_cast<unsigned char>(text.back()) & 0xC0) == 0x80);
    if (!text.empty() && (static_cast<unsigned char>(text.back()) & 0x80) != 0) text.pop_back();
  }
  return text;
}

}  // namespace

Progress::Progress(bool quiet) : quiet_(quiet), terminal_(isatty(STDOUT_FILENO) == 1) {}

void Progress::expect(const std::string& what, int trials) {
  left_[what].trials += trials;
}

void Progress::start(const std::string& arm, const std::string& what, const std::string& stage) {
  arm_ = report::one_line(arm);
  what_ = what;
  stage_ = stage;
  if (terminal_ && !quiet_) draw();
}

void Progress::end(const report::TrialResult& result, double seconds) {
  ++done_;
  Left& left = left_[what_];
  --left.trials;
  ++left.measured;
  left.seconds += seconds;
  note(result);
  const std::string line = fmt::format("{}  {}  {}", stage_, arm_, report::one_line(what_));
  const std::string outcome =
      result.is_ok() ? "ok" : report::one_line(result.status + (result.reason.empty() ? "" : ": " + result.reason));
  if (quiet_) {
    if (!result.is_ok()) fmt::print(stderr, "attnlab: warning: {}: {}\n", line, outcome);
  } else if (terminal_) {
    if (!result.is_ok()) fmt::print("\r\x1b[K{}: {}\n", line, outcome);
    draw();
  } else {
    const std::string figures = result.is_ok() ? medians() : "";
    fmt::print("{}/{}  {}: {}{}\n", done_, done_ + expected(), line, outcome,
               figures.empty() ? "" : " (" + figures + ")");
  }
  std::fflush(stdout);
}

void Progress::say(const std::string& text) {
  if (quiet_) return;
  fmt::print("{}{}\n", terminal_ ? "\r\x1b[K" : "", report::one_line(text));
  std::fflush(stdout);
}

void Progress::finish() {
  if (terminal_ && !quiet_) fmt::print("\r\x1b[K");
  std::fflush(stdout);
}

int Progress::expected() const {
  int sum = 0;
  for (const auto& [what, left] : left_) sum += std::max(left.trials, 0);
  return sum;
}

// By the mean of each case's own trials; a case that was not measured yet counts as the mean of all.
std::string Progress::time_left() const {
  double seconds = 0;
  int measured = 0;
  for (const auto& [what, left] : left_) {
    seconds += left.seconds;
    measured += left.measured;
  }
  if (measured == 0) return {};
  double ahead = 0;
  for (const auto& [what, left] : left_)
    ahead += std::max(left.trials, 0) * (left.measured > 0 ? left.seconds / left.measured : seconds / measured);
  return duration_text(ahead) + " left";
}

void Progress::note(const report::TrialResult& result) {
  for (const report::Sample& sample : result.samples) {
    values_[arm_ + '\n' + what_][sample.metric].push_back(sample.value);
    units_[sample.metric] = sample.unit;
  }
}

std::string Progress::medians() const {
  const auto found = values_.find(arm_ + '\n' + what_);
  if (found == values_.end()) return {};
  std::string text;
  std::size_t shown = 0;
  for (const report::MetricInfo& metric : report::standard_metrics()) {
    const auto values = found->second.find(std::string(metric.name));
    if (!is_shown(metric) || values == found->second.end() || shown++ == kShownMedians) continue;
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", metric.heading,
                        report::format_value(report::median(values->second), units_.at(values->first)));
  }
  return text;
}

void Progress::draw() const {
  const int all = done_ + expected();
  const int filled = all == 0 ? kBarWidth : done_ * kBarWidth / all;
  std::string text = fmt::format("[{}{}] {}/{}", std::string(static_cast<std::size_t>(filled), '#'),
                                 std::string(static_cast<std::size_t>(kBarWidth - filled), '.'), done_, all);
  for (const std::string& part : {time_left(), stage_, arm_, report::one_line(what_), medians()})
    if (!part.empty()) text += "  " + part;
  fmt::print("\r{}\x1b[K", cut(std::move(text), std::max(terminal_columns() - 1, 20)));
  std::fflush(stdout);
}

}  // namespace attnlab::experiment
