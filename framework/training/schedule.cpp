#include "training/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include <attnlab/error.h>
#include <fmt/format.h>

namespace attnlab::training {
namespace {

// Where step t stands between `from` and `to`: 0 .. 1.
double share_of_way(double step, double from, double to) {
  return to > from ? std::clamp((step - from) / (to - from), 0.0, 1.0) : 1;
}

}  // namespace

double factor_of(const Schedule& schedule, double step, double steps) {
  const auto warmup = static_cast<double>(schedule.warmup);
  if (step <= warmup) return step / warmup;
  const double from_first = 1 - schedule.last;
  switch (schedule.kind) {
    case ScheduleKind::constant:
      break;
    case ScheduleKind::linear:
      return 1 - from_first * share_of_way(step, warmup, steps);
    case ScheduleKind::cosine:
      return schedule.last + from_first * (1 + std::cos(std::numbers::pi * share_of_way(step, warmup, steps))) / 2;
    case ScheduleKind::wsd:
      return 1 - from_first * share_of_way(step, steps - schedule.decay * steps, steps);
  }
  return 1;
}

void check_schedule(const Schedule& schedule, std::int64_t steps) {
  const double parts = static_cast<double>(schedule.warmup) + schedule.decay * static_cast<double>(steps);
  if (parts <= static_cast<double>(steps)) return;
  if (schedule.decay == 0)
    throw Error(schedule.where.text(),
                fmt::format("the warm-up of {} steps is longer than the run of {}", schedule.warmup, steps),
                fmt::format("warm up in at most {} steps, or train longer", steps));
  throw Error(schedule.where.text(),
              fmt::format("the warm-up of {} steps and a decay of {} of the run are longer than the run of {} steps",
                          schedule.warmup, schedule.decay, steps),
              "shorten one of them, or train longer");
}

}  // namespace attnlab::training
