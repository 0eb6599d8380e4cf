#include "runner/roof_probes.h"

#include <algorithm>

#include "runner/interrupt.h"
#include "runner/roof_process.h"

namespace attnlab::experiment {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kFirstSeconds = 0.8;
constexpr double kLaterSeconds = 0.25;
constexpr std::chrono::minutes kInterval{10};
constexpr std::chrono::seconds kLeastGap{60};  // a probe takes a second or two, most of it to get its memory

}  // namespace

void RoofProbes::probe_first() {
  if (roof_.probes.empty()) measure(kFirstSeconds);
}

void RoofProbes::probe() {
  if (roof_.probes.empty() || Clock::now() - probed_ >= kLeastGap) measure(kLaterSeconds);
}

void RoofProbes::probe_if_old() {
  if (Clock::now() - probed_ > kInterval) probe();
}

void RoofProbes::measure(double seconds) {
  const bool has_timed =
      !plan_.trainings.empty() || std::ranges::any_of(plan_.cases, [](const PlannedCase& one) { return one.is_timed; });
  if (!has_timed || interrupted() != 0) return;
  roof_.include(measure_roof_apart(plan_.threads, seconds));
  probed_ = Clock::now();
}

}  // namespace attnlab::experiment
