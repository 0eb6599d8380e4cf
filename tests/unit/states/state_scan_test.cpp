// A scan over tokens, by steps and by blocks, against the recurrence as it is written in double precision, and its
// derivative against that recurrence gone through backwards.
#include <attnlab/state_scan.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "states/state_lane.h"
#include "model/random_weights.h"

namespace attnlab {
namespace {

std::vector<float> numbers(const char* name, std::int64_t count) {
  std::vector<float> all(count);
  model::random_values(7, name, 0, all, 1.0F);
  return all;
}

void expect_near(const std::vector<float>& found, const std::vector<double>& expected, double tolerance = 2e-5) {
  ASSERT_EQ(found.size(), expected.size());
  double largest = 0;
  for (const double number : expected) largest = std::max(largest, std::abs(number));
  for (std::size_t i = 0; i < found.size(); ++i)
    ASSERT_NEAR(found[i], expected[i], tolerance * (1 + largest)) << "at " << i;
}

struct Case {
  int tokens, d, heads;
  bool is_delta;
  int decays;     // of a token: 0, 1 or d
  float fastest;  // log decays are down to about this
};

std::string name_of(const testing::TestParamInfo<Case>& info) {
  const Case& c = info.param;
  return "T" + std::to_string(c.tokens) + "d" + std::to_string(c.d) + "h" + std::to_string(c.heads) +
         (c.is_delta ? "delta" : "") + "decays" + std::to_string(c.decays) + "to" +
         std::to_string(static_cast<int>(-c.fastest)) + "n" + std::to_string(info.index);
}

class EveryScan : public testing::TestWithParam<Case> {
 protected:
  EveryScan() {
    const float width = 1 / std::sqrt(static_cast<float>(d));  // keys of length 1: the delta rule stays bounded
    for (float& number : k) number *= width;
    for (float& log : logs) log = c.fastest * std::min(1.0F, log * log / 4);
    for (float& rate : rates) rate = 1 / (1 + std::exp(-rate));
  }
  [[nodiscard]] StateRows rows() const {
    return {.q = {q.data(), {T, heads, d}},
            .k = {k.data(), {T, 1, d}},
            .v = {v.data(), {T, 1, d}},
            .log_decays = c.decays == 0 ? TensorView<const float, 3>()
                                        : TensorView<const float, 3>(logs.data(), {T, 1, c.decays}),
            .rates = c.is_delta ? TensorView<const float, 2>(rates.data(), {T, 1}) : TensorView<const float, 2>(),
            .scale = kScale};
  }
  [[nodiscard]] double decay(std::int64_t t, std::int64_t i) const {
    return c.decays == 0 ? 1 : std::exp(double{logs[t * c.decays + (c.decays == 1 ? 0 : i)]});
  }

  // The recurrence from `state`: outputs, and what each token found, faded, missed and left behind.
  struct Run {
    std::vector<double> out, missing;                // [T, heads, d], [T, d]
    std::vector<std::vector<double>> before, after;  // [T][d, d]
    std::vector<double> state;
  };
  [[nodiscard]] Run recurrence(std::vector<double> state) const {
    Run run{.out = std::vector<double>(T * heads * d), .missing = std::vector<double>(T * d)};
    for (std::int64_t t = 0; t < T; ++t) {
      run.before.push_back(state);
      for (std::int64_t i = 0; i < d; ++i)
        for (std::int64_t j = 0; j < d; ++j) state[i * d + j] *= decay(t, i);
      for (std::int64_t j = 0; j < d; ++j) {
        double missing = v[t * d + j];
        for (std::int64_t i = 0; i < d && c.is_delta; ++i) missing -= state[i * d + j] * k[t * d + i];
        run.missing[t * d + j] = missing;
      }
      for (std::int64_t i = 0; i < d; ++i)
        for (std::int64_t j = 0; j < d; ++j)
          state[i * d + j] += (c.is_delta ? rates[t] : 1.0) * k[t * d + i] * run.missing[t * d + j];
      for (std::int64_t h = 0; h < heads; ++h)
        for (std::int64_t i = 0; i < d; ++i)
          for (std::int64_t j = 0; j < d; ++j)
            run.out[(t * heads + h) * d + j] += kScale * q[(t * heads + h) * d + i] * state[i * d + j];
      run.after.push_back(state);
    }
    run.state = std::move(state);
    return run;
  }

  static constexpr float kScale = 0.5F;
  const Case c = GetParam();
  const std::int64_t T = c.tokens, d = c.d, heads = c.heads;
  std::vector<float> q = numbers("q", T*heads*d), k = numbers("k", T*d), v = numbers("v", T*d);
  std::vector<float> logs = numbers("logs", T*std::max(1, c.decays)), rates = numbers("rates", T);
};

TEST_P(EveryScan, IsTheRecurrenceByStepsAndByBlocks) {
  const std::vector<float> start = numbers("state", d * d);
  for (const bool is_empty : {true, false}) {
    const std::vector<float> state(is_empty ? std::vector<float>(d * d) : start);
    const Run expected = recurrence({state.begin(), state.end()});
    const StateRows all = rows();
    const StateLane lane(all, 0);
    std::vector<float> out(T * heads * d, 9), stepped = state, blocked = state;
    const TensorView<float, 3> to(out.data(), {T, heads, d});
    for (int t = 0; t < c.tokens; ++t) step_lane(lane, t, stepped.data(), to);
    expect_near(out, expected.out);
    expect_near(stepped, expected.state);
    std::ranges::fill(out, 9.0F);
    const int first = c.tokens / 3;  // in two calls
    run_lane(lane, 0, first, blocked.data(), to);
    run_lane(lane, first, c.tokens, blocked.data(), to);
    expect_near(out, expected.out);
    expect_near(blocked, expected.state);
  }
}

TEST_P(EveryScan, HasTheDerivativeOfTheRecurrence) {
  const std::vector<float> of_out = numbers("of_out", T * heads * d);
  const Run run = recurrence(std::vector<double>(d * d));
  std::vector<double> of_q(q.size()), of_k(k.size()), of_v(v.size()), of_logs(logs.size()), of_rates(T), of(d * d);
  for (std::int64_t t = T; t-- > 0;) {
    const std::vector<double>&before = run.before[t], &after = run.after[t];
    const double rate = c.is_delta ? rates[t] : 1.0;
    for (std::int64_t h = 0; h < heads; ++h)
      for (std::int64_t i = 0; i < d; ++i)
        for (std::int64_t j = 0; j < d; ++j) {
          const double of_one = kScale * of_out[(t * heads + h) * d + j];
          of_q[(t * heads + h) * d + i] += of_one * after[i * d + j];
          of[i * d + j] += of_one * q[(t * heads + h) * d + i];
        }
    for (std::int64_t j = 0; j < d; ++j) {
      double of_written = 0;  // of rate * missing
      for (std::int64_t i = 0; i < d; ++i) {
        of_written += of[i * d + j] * k[t * d + i];
        of_k[t * d + i] += of[i * d + j] * rate * run.missing[t * d + j];
      }
      of_rates[t] += of_written * run.missing[t * d + j];
      of_v[t * d + j] += rate * of_written;
      for (std::int64_t i = 0; i < d && c.is_delta; ++i) {
        of_k[t * d + i] -= rate * of_written * decay(t, i) * before[i * d + j];
        of[i * d + j] -= rate * of_written * k[t * d + i];
      }
    }
    for (std::int64_t i = 0; i < d; ++i)
      for (std::int64_t j = 0; j < d; ++j) {
        if (c.decays > 0)
          of_logs[t * c.decays + (c.decays == 1 ? 0 : i)] += of[i * d + j] * decay(t, i) * before[i * d + j];
        of[i * d + j] *= decay(t, i);
      }
  }

  const StateRows all = rows();
  std::vector<float> to_q(q.size()), to_k(k.size()), to_v(v.size()), to_logs(logs.size()), to_rates(T);
  undo_lane(StateLane(all, 0), 0, c.tokens,
            {.out = {of_out.data(), {T, heads, d}},
             .q = {to_q.data(), {T, heads, d}},
             .k = {to_k.data(), {T, 1, d}},
             .v = {to_v.data(), {T, 1, d}},
             .log_decays = {to_logs.data(), {T, 1, std::max(1, c.decays)}},
             .rates = {to_rates.data(), {T, 1}}});
  expect_near(to_q, of_q);
  expect_near(to_k, of_k);
  expect_near(to_v, of_v);
  expect_near(to_logs, of_logs);
  if (c.is_delta) expect_near(to_rates, of_rates);
}

// Lengths around a block and several blocks; widths that are no multiple of a vector; decays that end blocks early.
INSTANTIATE_TEST_SUITE_P(Scans, EveryScan,
                         testing::Values(Case{1, 8, 1, false, 0, 0}, Case{5, 3, 1, false, 0, 0},
                                         Case{64, 16, 1, false, 0, 0}, Case{65, 24, 3, false, 0, 0},
                                         Case{200, 64, 2, false, 0, 0}, Case{33, 16, 2, false, 1, -0.1F},
                                         Case{150, 20, 1, false, 1, -3}, Case{150, 16, 2, false, 16, -0.5F},
                                         Case{70, 12, 1, false, 12, -8}, Case{90, 16, 1, false, 16, -200},
                                         Case{9, 5, 1, true, 0, 0}, Case{64, 16, 1, true, 1, -0.1F},
                                         Case{65, 24, 2, true, 1, -1}, Case{190, 64, 1, true, 1, -0.3F},
                                         Case{100, 20, 1, true, 20, -2}, Case{80, 16, 3, true, 1, -120}),
                         name_of);

}  // namespace
}  // namespace attnlab
