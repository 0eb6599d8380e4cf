#include "training/schedule.h"

#include <cmath>
#include <numbers>

#include <gtest/gtest.h>

#include "unit/model_test_files.h"

namespace attnlab::training {
namespace {

using model_test::refusal;

TEST(Schedule, CosineHasTheRatesOfTheDefinition) {
  const Schedule cosine{.kind = ScheduleKind::cosine, .warmup = 3, .last = 0.1};
  EXPECT_DOUBLE_EQ(factor_of(cosine, 1, 12), 1.0 / 3);
  EXPECT_DOUBLE_EQ(factor_of(cosine, 2, 12), 2.0 / 3);
  EXPECT_DOUBLE_EQ(factor_of(cosine, 3, 12), 1);
  for (int step = 4; step <= 12; ++step)
    EXPECT_DOUBLE_EQ(factor_of(cosine, step, 12), 0.1 + 0.9 * (1 + std::cos(std::numbers::pi * (step - 3) / 9)) / 2);
  EXPECT_DOUBLE_EQ(factor_of(cosine, 12, 12), 0.1);
}

TEST(Schedule, LinearFallsStraightFromTheWarmUpToTheLastStep) {
  const Schedule linear{.kind = ScheduleKind::linear, .warmup = 2, .last = 0.2};
  EXPECT_DOUBLE_EQ(factor_of(linear, 1, 10), 0.5);
  EXPECT_DOUBLE_EQ(factor_of(linear, 2, 10), 1);
  EXPECT_DOUBLE_EQ(factor_of(linear, 6, 10), 0.6);
  EXPECT_DOUBLE_EQ(factor_of(linear, 10, 10), 0.2);
}

TEST(Schedule, WsdStaysUpAndFallsInItsLastShare) {
  const Schedule wsd{.kind = ScheduleKind::wsd, .warmup = 10, .last = 0, .decay = 0.2};
  EXPECT_DOUBLE_EQ(factor_of(wsd, 5, 100), 0.5);
  EXPECT_DOUBLE_EQ(factor_of(wsd, 11, 100), 1);
  EXPECT_DOUBLE_EQ(factor_of(wsd, 80, 100), 1);
  EXPECT_DOUBLE_EQ(factor_of(wsd, 90, 100), 0.5);
  EXPECT_DOUBLE_EQ(factor_of(wsd, 100, 100), 0);
}

TEST(Schedule, ConstantIsOneAfterTheWarmUp) {
  const Schedule constant{.kind = ScheduleKind::constant, .warmup = 4};
  EXPECT_DOUBLE_EQ(factor_of(constant, 1, 8), 0.25);
  EXPECT_DOUBLE_EQ(factor_of(constant, 4, 8), 1);
  EXPECT_DOUBLE_EQ(factor_of(constant, 8, 8), 1);
}

TEST(Schedule, WithoutAWarmUpTheFirstStepIsAlreadyOnTheWayDown) {
  for (const ScheduleKind kind : {ScheduleKind::constant, ScheduleKind::wsd})
    EXPECT_DOUBLE_EQ(factor_of({.kind = kind, .last = 0, .decay = 0.5}, 1, 8), 1);
  EXPECT_DOUBLE_EQ(factor_of({.kind = ScheduleKind::linear, .last = 0}, 1, 8), 7.0 / 8);
  EXPECT_LT(factor_of({.kind = ScheduleKind::cosine, .last = 0}, 1, 8), 1);
}

TEST(Schedule, ARunThatIsAllWarmUpEndsAtTheHeight) {
  for (const ScheduleKind kind :
       {ScheduleKind::constant, ScheduleKind::linear, ScheduleKind::cosine, ScheduleKind::wsd})
    EXPECT_DOUBLE_EQ(factor_of({.kind = kind, .warmup = 6, .last = 0.1}, 6, 6), 1);
}

TEST(Schedule, ARunOfOneStepEndsInIt) {
  EXPECT_DOUBLE_EQ(factor_of({.kind = ScheduleKind::cosine, .last = 0.1}, 1, 1), 0.1);
  EXPECT_DOUBLE_EQ(factor_of({.kind = ScheduleKind::wsd, .last = 0.1, .decay = 0.9}, 1, 1), 0.1);
}

TEST(Schedule, StepsBeyondAnEstimateHaveTheFactorOfTheLast) {
  for (const ScheduleKind kind : {ScheduleKind::linear, ScheduleKind::cosine, ScheduleKind::wsd})
    EXPECT_DOUBLE_EQ(factor_of({.kind = kind, .warmup = 2, .last = 0.1, .decay = 0.3}, 13, 12.5), 0.1);
}

TEST(Schedule, LongerThanTheRunIsAnErrorAtItsPlace) {
  const config::Mark where{.file = "t.yaml", .line = 7, .column = 3};
  EXPECT_NO_THROW(check_schedule({.kind = ScheduleKind::cosine, .warmup = 12, .where = where}, 12));
  EXPECT_EQ(refusal([&] { check_schedule({.kind = ScheduleKind::cosine, .warmup = 13, .where = where}, 12); }),
            "t.yaml:7:3: the warm-up of 13 steps is longer than the run of 12; warm up in at most 12 steps, or train "
            "longer");
  EXPECT_NO_THROW(check_schedule({.kind = ScheduleKind::wsd, .warmup = 75, .decay = 0.25, .where = where}, 100));
  EXPECT_EQ(
      refusal([&] { check_schedule({.kind = ScheduleKind::wsd, .warmup = 76, .decay = 0.25, .where = where}, 100); }),
      "t.yaml:7:3: the warm-up of 76 steps and a decay of 0.25 of the run are longer than the run of 100 steps; "
      "shorten one of them, or train longer");
}

}  // namespace
}  // namespace attnlab::training
