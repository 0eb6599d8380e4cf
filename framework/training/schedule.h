// How the learning rate changes in a run, as a factor that is a function of the step and the number of steps alone.
#pragma once

#include <array>
#include <cstdint>

#include <attnlab/api.h>
#include <attnlab/options.h>

#include "config/node.h"

namespace attnlab::training {

/// constant: 1. linear: straight from 1 to `last`. cosine: half a period of a cosine from 1 to `last` (Loshchilov and
/// Hutter 2017). wsd: 1, then straight to `last` in the `decay` share of the run that comes last (Hu et al. 2024,
/// warmup-stable-decay). Before each of them, the warm-up goes straight up: t / warmup in step t.
enum class ScheduleKind : std::uint8_t { constant, linear, cosine, wsd };

struct Schedule {
  ScheduleKind kind = ScheduleKind::constant;
  std::int64_t warmup = 0;  // steps
  double last = 0;          // `final` in YAML: the factor of the last step
  double decay = 0;         // of wsd: share of all steps
  config::Mark where;
};

/// The factor of step 1 .. steps. Real numbers, for runs that are as long as their time: `steps` is an estimate then,
/// and steps beyond it have the factor of the last. 0 <= warmup <= steps.
[[nodiscard]] ATTNLAB_API double factor_of(const Schedule& schedule, double step, double steps);

/// Error, at the schedule's place, where a run of so many steps is shorter than the schedule's parts.
ATTNLAB_API void check_schedule(const Schedule& schedule, std::int64_t steps);

}  // namespace attnlab::training

template <>
inline constexpr std::array<attnlab::Choice<attnlab::training::ScheduleKind>, 4>
    attnlab::kChoices<attnlab::training::ScheduleKind>{{{"constant", attnlab::training::ScheduleKind::constant},
                                                        {"linear", attnlab::training::ScheduleKind::linear},
                                                        {"cosine", attnlab::training::ScheduleKind::cosine},
                                                        {"wsd", attnlab::training::ScheduleKind::wsd}}};
