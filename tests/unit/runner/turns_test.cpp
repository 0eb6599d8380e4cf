// Arms that take turns: how their work is cut, what a stopwatch counts meanwhile, and what is made of the slices.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <thread>

#include <gtest/gtest.h>

#include "assembly/arm_model.h"
#include "reference/plugins.h"
#include "runner/slices.h"
#include "workloads/speed.h"
#include "workloads/turns.h"

namespace attnlab::experiment {
namespace {

using reference::plugins;
using Slices = std::vector<std::vector<double>>;

TEST(TurnPlans, CutTheWorkOfAllArmsAlike) {
  const auto plan = [](std::vector<TimedWork> works) { return first_plan(works); };
  const TurnPlan tiny = plan({{32, 64, 0.001}, {32, 64, 0.003}});  // 2 ms on average: 15 runs a slice
  EXPECT_EQ(tiny.repeats, 150);
  EXPECT_EQ(tiny.parts, 10);
  EXPECT_EQ(tiny.cuts_passes, 0);
  const TurnPlan step = plan({{1, 12, 0.06}});  // two slices of a run, five runs
  EXPECT_EQ(step.repeats, 5);
  EXPECT_EQ(step.parts, 10);
  EXPECT_EQ(step.cuts_passes, 1);
  const TurnPlan large = plan({{1, 12, 2.0}, {1, 24, 2.0}});  // as many as the one with the fewest layers has
  EXPECT_EQ(large.repeats, 1);
  EXPECT_EQ(large.parts, 12);
  // Steps of 19 ms and of 21 ms are cut in the same way.
  const TurnPlan mixed = plan({{32, 384, 32 * 0.019}, {32, 384, 32 * 0.021}});
  EXPECT_EQ(mixed.cuts_passes, 1);
  EXPECT_EQ(mixed.parts, 21);
  // What has to be done before is part of the time that there is.
  EXPECT_EQ(plan({{1, 2, 0.01, 0.2}}).repeats, 3);
  EXPECT_EQ(plan({{1, 2, 0.01, 10}}).repeats, 1);
  for (const double seconds : {1e-9, 0.0004, 0.0149, 0.031, 0.2, 0.29, 5.0, 300.0})
    for (const std::int64_t pieces : {1, 2, 7, 32, 100000})
      for (const double untimed : {0.0, 0.7}) {
        const TurnPlan one = plan({{pieces, 3 * pieces, seconds, untimed}});
        ASSERT_GE(one.repeats, 1);
        ASSERT_GE(one.parts, 1);
        EXPECT_TRUE(one.repeats % one.parts == 0 || one.parts % one.repeats == 0) << seconds << ' ' << pieces;
        EXPECT_LE(one.parts, one.repeats * pieces * (one.cuts_passes != 0 ? 3 : 1));
      }
}

// Two arms whose slices are off by up to `noise`, in a fixed pattern.
Slices noisy(int laps, double noise, double seconds = 0.03) {
  Slices slices(2);
  for (int lap = 0; lap < laps; ++lap) {
    slices[0].push_back(seconds * std::exp(noise * std::sin(lap * 1.7)));
    slices[1].push_back(seconds * std::exp(noise * std::sin(lap * 2.9 + 1)));
  }
  return slices;
}

TEST(TurnPlans, GrowWhileRatiosAreUnsureAndTimeIsLeft) {
  const TurnPlan plan{.repeats = 20, .parts = 10};
  EXPECT_EQ(grown(plan, noisy(10, 0.001)).parts, 10);
  const TurnPlan more = grown(plan, noisy(10, 0.1));
  EXPECT_EQ(more.repeats, 30);
  EXPECT_EQ(more.parts, 15);
  EXPECT_EQ(grown(plan, noisy(10, 0.1, 1.0)).parts, 10);                 // ten seconds are enough
  EXPECT_EQ(grown(plan, noisy(10, 0.1), 0.5).parts, 10);                 // with what is not timed
  EXPECT_EQ(grown({.repeats = 2, .parts = 2}, noisy(2, 0)).repeats, 3);  // two laps tell nothing
  const TurnPlan cut{.repeats = 2, .parts = 10};
  const TurnPlan third = grown(cut, noisy(10, 0.1));
  EXPECT_EQ(third.repeats, 3);
  EXPECT_EQ(third.parts, 15);
  EXPECT_EQ(grown(plan, Slices{noisy(10, 0.1)[0], {}}).parts, 10);  // of one arm there are no ratios
  Slices many;                                                      // forty arms have had twelve seconds
  for (int pair = 0; pair < 20; ++pair) std::ranges::copy(noisy(10, 0.1), std::back_inserter(many));
  EXPECT_EQ(grown(plan, many).parts, 10);
}

TEST(Slices, TellTheTimeOfWorkWithoutWhatHitsAllArmsOrOneSlice) {
  // Three arms that take 1, 2 and 3 s; the machine is slower in each lap, and one slice is hit.
  Slices slices(3);
  for (int lap = 0; lap < 10; ++lap)
    for (int arm = 0; arm < 3; ++arm) slices[arm].push_back((arm + 1) * (1 + 0.1 * lap));
  slices[1][4] *= 5;
  const std::vector<double> seconds = seconds_once({.repeats = 10, .parts = 10}, slices);
  EXPECT_NEAR(seconds[1] / seconds[0], 2, 1e-12);
  EXPECT_NEAR(seconds[2] / seconds[0], 3, 1e-12);
  EXPECT_GT(seconds[0], 1.3);
  EXPECT_LT(seconds[0], 1.6);
  EXPECT_NEAR(seconds_once({.repeats = 40, .parts = 10}, slices)[2], seconds[2] / 4, 1e-12);  // four runs a slice
}

TEST(Slices, AddUpTheUnlikePartsOfOneRun) {
  // Runs of two parts, of which only the second differs between the arms.
  Slices slices(2);
  for (int run = 0; run < 6; ++run) {
    for (std::vector<double>& of_arm : slices) of_arm.push_back(1);
    slices[0].push_back(1);
    slices[1].push_back(7);
  }
  slices[0][5] = 100;
  const std::vector<double> seconds = seconds_once({.repeats = 6, .parts = 12}, slices);
  EXPECT_NEAR(seconds[0], 2, 1e-12);
  EXPECT_NEAR(seconds[1], 8, 1e-12);
  slices.emplace_back();  // an arm that has ended
  EXPECT_EQ(seconds_once({.repeats = 6, .parts = 12}, slices)[2], 0);
}

// Gives turns as it is told, and sleeps while others would have theirs.
class SleepingTurns final : public Turns {
 public:
  explicit SleepingTurns(TurnPlan plan, TurnPlan grows_to = {.repeats = 0}) : plan_(plan), grows_to_(grows_to) {}
  TurnPlan begin(const TimedWork& work) override {
    works.push_back(work);
    slices = 0;
    return plan_;
  }
  TurnPlan pass(double seconds) override {
    EXPECT_GT(seconds, 0);
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    slept += 0.1;
    const bool grows = grows_to_.repeats > 0;
    if (++slices < (grows ? grows_to_ : plan_).parts) return slices < plan_.parts ? plan_ : grows_to_;
    TurnPlan done = grows ? grows_to_ : plan_;
    done.seconds = 0.125;
    return done;
  }
  std::vector<TimedWork> works;
  int slices = 0;
  double slept = 0;  // seconds

 private:
  TurnPlan plan_, grows_to_;
};

model::Decoder tiny() {
  static const ModelSource source = ModelSource::open(ATTNLAB_SOURCE_DIR "/configs/models/tiny.yaml");
  const ComponentLookup lookup = lookup_in(plugins());
  Arm arm;
  arm.attention = parse_layered(Kind::attention, "mha", "--attention", lookup);
  arm.position = parse_layered(Kind::position, "rope", "--position", lookup);
  arm.cache = parse_layered(Kind::cache, "full", "--cache", lookup);
  return build_decoder(resolve_arm(arm, source.config(), plugins()), source, plugins(), {});
}

double sample(const Measured& measured, std::string_view metric) {
  const auto found = std::ranges::find(measured.samples, metric, &report::Sample::metric);
  return found == measured.samples.end() ? std::nan("") : found->value;
}

TEST(PassTimer, CountsNeitherTurnsOfOthersNorLayersOutsideOfAPass) {
  model::Decoder decoder = tiny();
  SleepingTurns turns({.repeats = 12, .parts = 4});
  const Measured measured = measure_speed(decoder, Batch{{.count = 1, .new_tokens = 1, .total = 40}}, 1, &turns);
  ASSERT_EQ(turns.works.size(), 1U);
  EXPECT_EQ(turns.works[0].passes, 32);
  EXPECT_EQ(turns.works[0].layers, 64);  // what is filled in before the steps goes through layers too
  const std::vector<double> slices = measured.details.at("slices").at("decode_tokens_per_second");
  EXPECT_EQ(slices.size(), 4U);
  EXPECT_EQ(turns.slices, 4);
  const std::vector<double> latencies = measured.details.at("token_latencies_s");
  EXPECT_EQ(latencies.size(), 12U * 32);
  const double sum = std::accumulate(slices.begin(), slices.end(), 0.0);
  EXPECT_NEAR(sum, std::accumulate(latencies.begin(), latencies.end(), 0.0), 1e-9);
  EXPECT_LT(sum, turns.slept) << "the turns of others";
  EXPECT_DOUBLE_EQ(sample(measured, "decode_tokens_per_second"), 32 / 0.125);  // as the run says
}

// Two layers of one pass, then the logits, which are of the second.
TEST(PassTimer, CutsPassesBetweenLayers) {
  model::Decoder decoder = tiny();
  SleepingTurns turns({.repeats = 3, .parts = 6, .cuts_passes = 1}, {.repeats = 5, .parts = 10, .cuts_passes = 1});
  const Measured measured = measure_speed(decoder, Batch{{.count = 1, .new_tokens = 64, .total = 64}}, 1, &turns);
  EXPECT_EQ(turns.works[0].passes, 1);
  EXPECT_EQ(turns.works[0].layers, 2);
  const std::vector<double> slices = measured.details.at("slices").at("prefill_tokens_per_second");
  EXPECT_EQ(slices.size(), 10U);
  EXPECT_EQ(turns.slices, 10);
  EXPECT_LT(std::accumulate(slices.begin(), slices.end(), 0.0), turns.slept);
}

TEST(PassTimer, GoesOnWhereThePlanGrows) {
  model::Decoder decoder = tiny();
  SleepingTurns turns({.repeats = 4, .parts = 2}, {.repeats = 6, .parts = 3});
  const Measured measured = measure_speed(decoder, Batch{{.count = 2, .new_tokens = 8, .total = 8}}, 1, &turns);
  EXPECT_EQ(measured.details.at("slices").at("prefill_tokens_per_second").size(), 3U);
  EXPECT_EQ(turns.slices, 3);
  EXPECT_DOUBLE_EQ(sample(measured, "time_to_first_token_s"), 0.125);
}

TEST(PassTimer, MeasuresAPromptAndWhatFollowsItOneAfterTheOther) {
  model::Decoder decoder = tiny();
  SleepingTurns turns({.repeats = 2, .parts = 2});
  const Measured measured = measure_speed(decoder, PromptShape{.prompt = 16, .generate = 8, .sequences = 1}, 1, &turns);
  EXPECT_EQ(turns.works.size(), 2U);
  for (const char* metric : {"prefill_tokens_per_second", "decode_tokens_per_second"})
    EXPECT_EQ(measured.details.at("slices").at(metric).size(), 2U) << metric;
  EXPECT_DOUBLE_EQ(sample(measured, "prefill_tokens_per_second"), 16 / 0.125);
  EXPECT_DOUBLE_EQ(sample(measured, "decode_tokens_per_second"), 8 / 0.125);
}

TEST(PassTimer, TakesNoTurnsWhereThereAreNone) {
  model::Decoder decoder = tiny();
  const Measured measured = measure_speed(decoder, Batch{{.count = 1, .new_tokens = 8, .total = 8}}, 1);
  EXPECT_FALSE(measured.details.contains("slices"));
  EXPECT_NEAR(sample(measured, "prefill_tokens_per_second") * sample(measured, "time_to_first_token_s"), 8, 1e-9);
}

}  // namespace
}  // namespace attnlab::experiment
