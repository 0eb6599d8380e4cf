#include "runner/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/utf8.h"
#include "report/read/format.h"
#include "report/read/metrics.h"

namespace attnlab::experiment {
namespace {

constexpr int kBarWidth = 10;
constexpr const char* kErase = "\r\x1b[J";  // the two lines of the bar; the cursor stands at the start of the first
constexpr std::size_t kShownFigures = 2;
constexpr std::chrono::seconds kLeastGap{1};     // between two words on what is running
constexpr std::chrono::seconds kSignOfLife{60};  // where nothing but plain lines can say that it still is

double seconds_between(std::chrono::steady_clock::time_point first, std::chrono::steady_clock::time_point last) {
  return std::chrono::duration<double>(last - first).count();
}

int terminal_columns() {
  winsize size{};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

// Rates and quality. Bytes do not change from round to round.
bool is_shown(const report::MetricInfo& metric) {
  return metric.headline == report::Headline::everywhere && metric.name.find("bytes") == std::string_view::npos;
}

// Cut to so many columns, between characters.
std::string cut(std::string text, int columns) {
  for (int left = report::terminal_width(text); left > std::max(columns, 0); --left)
    text.resize(text.size() - last_character(text).size());
  return text;
}

}  // namespace

std::string figures_of(const report::TrialResult& result) {
  std::string text;
  std::size_t shown = 0;
  for (const report::MetricInfo& metric : report::standard_metrics()) {
    const auto sample = std::ranges::find(result.samples, metric.name, &report::Sample::metric);
    if (!is_shown(metric) || sample == result.samples.end() || shown++ >= kShownFigures) continue;
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", metric.heading,
                        report::format_value(sample->value, sample->unit));
  }
  return text;
}

Progress::Progress(bool quiet) : quiet_(quiet), terminal_(isatty(STDOUT_FILENO) == 1) {}

void Progress::expect(const std::string& what, int trials) {
  left_[what].trials += trials;
}

void Progress::start(const std::string& arm, const std::string& what, const std::string& stage) {
  arm_ = report::one_line(arm);
  what_ = what;
  stage_ = stage;
  note_.clear();
  trial_began_ = Clock::now();
  announced_ = false;
}

// A trial that is shorter than the least gap, just after another was announced, is known by its end alone.
void Progress::wait() {
  if (quiet_) return;
  const auto since_shown = Clock::now() - shown_;
  if (since_shown < kLeastGap) return;
  if (terminal_)
    draw();
  else if (!announced_ || since_shown >= kSignOfLife)
    announce();
}

void Progress::end(const report::TrialResult& result, double seconds) {
  ++done_;
  arm_ = report::one_line(result.arm);  // of several that were measured together
  Left& left = left_[what_];
  --left.trials;
  ++left.measured;
  left.seconds += seconds;
  const std::string outcome =
      result.is_ok() ? "ok" : report::one_line(result.status + (result.reason.empty() ? "" : ": " + result.reason));
  const std::string figures = result.is_ok() ? figures_of(result) : "";
  last_ = fmt::format("{}: {}  {}", figures.empty() ? outcome : figures, arm_, report::one_line(what_));
  if (quiet_) {
    if (!result.is_ok()) fmt::print(stderr, "attnlab: warning: {}: {}\n", trial_text(), outcome);
  } else if (terminal_) {
    if (!result.is_ok()) fmt::print("{}{}: {}\n", kErase, trial_text(), outcome);
    draw();
  } else {
    fmt::print("{}/{}  {}: {}{}\n", done_, done_ + expected(), trial_text(), outcome,
               figures.empty() ? "" : " (" + figures + ")");
  }
  std::fflush(stdout);
}

void Progress::say(const std::string& text) {
  if (quiet_) return;
  fmt::print("{}{}\n", terminal_ ? kErase : "", report::one_line(text));
  std::fflush(stdout);
}

void Progress::finish() {
  if (terminal_ && !quiet_) fmt::print("{}", kErase);
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
  return report::format_duration(ahead) + " left";
}

std::string Progress::trial_text() const {
  return fmt::format("{}  {}  {}", stage_, arm_, report::one_line(what_));
}

void Progress::announce() {
  const auto now = Clock::now();
  const double in_trial = seconds_between(trial_began_, now);
  fmt::print("now running: {}{} ({}{} elapsed)\n", trial_text(), note_.empty() ? "" : ", " + note_,
             announced_ ? fmt::format("for {}, ", report::format_duration(in_trial)) : "",
             report::format_duration(seconds_between(run_began_, now)));
  std::fflush(stdout);
  announced_ = true;
  shown_ = now;
}

void Progress::draw() {
  const auto now = Clock::now();
  const int all = done_ + expected();
  const int filled = all == 0 ? kBarWidth : done_ * kBarWidth / all;
  std::string text = fmt::format("[{}{}] {}/{}", std::string(static_cast<std::size_t>(filled), '#'),
                                 std::string(static_cast<std::size_t>(kBarWidth - filled), '.'), done_, all);
  for (const std::string& part :
       {report::format_duration(seconds_between(run_began_, now)) + " elapsed", time_left(), last_})
    if (!part.empty()) text += "  " + part;
  const std::string running = fmt::format("now running: {}{} (for {})", trial_text(), note_.empty() ? "" : ", " + note_,
                                          report::format_duration(seconds_between(trial_began_, now)));
  const int columns = std::max(terminal_columns() - 1, 20);
  fmt::print("{}{}\n{}\x1b[A\r", kErase, cut(std::move(text), columns), cut(running, columns));
  std::fflush(stdout);
  shown_ = now;
}

}  // namespace attnlab::experiment
