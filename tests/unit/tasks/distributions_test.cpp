// Tasks that are draws of a distribution: what they say of the best predictor, and how often they draw what, against
// the distribution itself, summed up the slow way.
#include <cmath>
#include <functional>
#include <map>
#include <numeric>

#include <fmt/format.h>

#include "unit/tasks/task_samples.h"

namespace attnlab::tasks {
namespace {

using Ids = std::vector<TokenId>;

// Fed tokens, and the one that is asked for last.
Ids whole(const Example& example) {
  Ids ids = example.input;
  ids.push_back(example.targets.back());
  return ids;
}

// Every target is the next token, and together the optima are the chance of all but what nothing was asked for.
void expect_next_tokens(const Example& example) {
  for (std::size_t at = 0; at + 1 < example.input.size(); ++at) EXPECT_EQ(example.targets[at], example.input[at + 1]);
  EXPECT_EQ(example.targets.size(), example.input.size());
}

// Of a chain with two states: the row of every context is a chance p of state 1 with the density of Beta(alpha, alpha),
// integrated by the midpoint rule. The first `order` tokens are even.
double chance_of_two_states(const Ids& ids, int order, double alpha) {
  std::map<Ids, std::array<int, 2>> counts;
  for (std::size_t at = order; at < ids.size(); ++at)
    ++counts[Ids(ids.begin() + at - order, ids.begin() + at)][ids[at]];
  constexpr int kSteps = 20'000;
  const auto integral = [&](int zeros, int ones) {
    double sum = 0;
    for (int step = 0; step < kSteps; ++step) {
      // p = u^2 (3 - 2 u) takes the poles of small alphas away.
      const double u = (step + 0.5) / kSteps, p = u * u * (3 - 2 * u);
      sum += std::pow(1 - p, zeros + alpha - 1) * std::pow(p, ones + alpha - 1) * 6 * u * (1 - u);
    }
    return sum / kSteps;
  };
  double chance = std::pow(0.5, std::min<double>(order, static_cast<double>(ids.size())));
  for (const auto& [context, count] : counts) chance *= integral(count[0], count[1]) / integral(0, 0);
  return chance;
}

TEST(MarkovTask, OptimumIsWhatThePriorSaysOfTheNextState) {
  for (const double alpha : {0.6, 1.0, 2.5})
    for (const int order : {1, 2}) {
      const auto task = task_of(fmt::format("markov: {{states: 2, order: {}, length: 9, alpha: {}}}", order, alpha));
      for (int index = 0; index < 6; ++index) {
        SCOPED_TRACE(testing::Message() << alpha << ", order " << order << ", example " << index);
        const Example example = example_of(*task, index);
        expect_next_tokens(example);
        const Ids ids = whole(example);
        for (std::size_t at = 1; at < ids.size(); ++at) {
          const double before = chance_of_two_states(Ids(ids.begin(), ids.begin() + at), order, alpha);
          const double with = chance_of_two_states(Ids(ids.begin(), ids.begin() + at + 1), order, alpha);
          EXPECT_NEAR(example.optimum[at - 1], -std::log(with / before), 2e-4) << at;
        }
      }
    }
}

// The published form, for more states.
TEST(MarkovTask, OptimumIsCountPlusAlphaOverAll) {
  const auto task = task_of("markov: {states: 5, length: 60, alpha: 0.5}");
  const Example example = example_of(*task, 3);
  const Ids ids = whole(example);
  ASSERT_EQ(ids.size(), 61U);
  for (std::size_t at = 0; at < 60; ++at) {
    double count = 0, all = 0;
    for (std::size_t earlier = 0; earlier < at; ++earlier) {
      all += ids[earlier] == ids[at] ? 1 : 0;
      count += ids[earlier] == ids[at] && ids[earlier + 1] == ids[at + 1] ? 1 : 0;
    }
    EXPECT_NEAR(example.optimum[at], -std::log((count + 0.5) / (all + 5 * 0.5)), 1e-12) << at;
  }
}

// Counts of every whole sequence against its chance: chi-square of as many degrees of freedom as there are sequences.
void expect_frequencies(const Task& task, const std::function<double(const Ids&)>& chance, std::size_t sequences) {
  constexpr int kExamples = 60'000;
  std::map<Ids, int> counts;
  for (int index = 0; index < kExamples; ++index) ++counts[whole(example_of(task, index))];
  EXPECT_EQ(counts.size(), sequences);
  double chi_square = 0, all = 0;
  for (const auto& [ids, count] : counts) {
    const double expected = kExamples * chance(ids);
    chi_square += (count - expected) * (count - expected) / expected;
    all += expected;
  }
  EXPECT_NEAR(all, kExamples, 1e-3 * kExamples) << "the chances of all sequences make 1";
  const auto degrees = static_cast<double>(sequences - 1);
  EXPECT_LT(chi_square, degrees + 5 * std::sqrt(2 * degrees));
}

TEST(MarkovTask, DrawsChainsOfThePrior) {
  expect_frequencies(
      *task_of("markov: {states: 2, length: 4, alpha: 0.7}"),
      [](const Ids& ids) { return chance_of_two_states(ids, 1, 0.7); }, 32);
  expect_frequencies(
      *task_of("markov: {states: 2, order: 2, length: 4, alpha: 2}"),
      [](const Ids& ids) { return chance_of_two_states(ids, 2, 2); }, 32);
}

// By reading it: 0 unless the brackets match.
double chance_of_brackets(const Ids& ids, int kinds, int most, double open) {
  double chance = 1;
  for (std::size_t at = 0; at < ids.size(); ++at) {
    // The bracket that is open here: the last one before which no part of it closes.
    int depth = 0, inner = 0;
    TokenId last = -1;
    for (std::size_t back = at; back > 0; --back) {
      if (ids[back - 1] >= kinds) {
        ++inner;
      } else if (inner > 0) {
        --inner;
      } else {
        if (last < 0) last = ids[back - 1];
        ++depth;
      }
    }
    const double opens = depth == 0 ? 1 : depth == most ? 0 : open;
    chance *= ids[at] < kinds ? opens / kinds : ids[at] == kinds + last ? 1 - opens : 0;
  }
  return chance;
}

TEST(DyckTask, OptimumIsTheEntropyOfTheWalk) {
  const auto task = task_of("dyck: {kinds: 3, depth: 3, length: 30, open: 0.6}");
  EXPECT_EQ(task->vocab_size(), 6);
  for (int index = 0; index < 50; ++index) {
    const Example example = example_of(*task, index);
    expect_next_tokens(example);
    const Ids ids = whole(example);
    for (std::size_t at = 1; at < ids.size(); ++at) {
      const double before = chance_of_brackets(Ids(ids.begin(), ids.begin() + at), 3, 3, 0.6);
      const double with = chance_of_brackets(Ids(ids.begin(), ids.begin() + at + 1), 3, 3, 0.6);
      ASSERT_GT(with, 0);
      EXPECT_NEAR(example.optimum[at - 1], -std::log(with / before), 1e-9) << at;
    }
  }
}

TEST(DyckTask, DrawsWalksByTheirChances) {
  // Of four tokens: shapes ()(), ()((, (()), (()( with a kind for each bracket that opens.
  expect_frequencies(
      *task_of("dyck: {kinds: 2, depth: 2, length: 3, open: 0.3}"),
      [](const Ids& ids) { return chance_of_brackets(ids, 2, 2, 0.3); }, 24);
}

// Far from the beginning the depth has a distribution of its own, and the mean of the optima its entropy.
TEST(DyckTask, MeanOptimumIsTheEntropyOfTheStationaryWalk) {
  constexpr int kDepth = 5, kKinds = 2, kLength = 400;
  constexpr double kOpen = 0.5;
  std::vector<double> at_depth(kDepth + 1, 0.0);
  at_depth[0] = 1;
  double entropy = 0;
  for (int token = 0; token <= kLength; ++token) {
    std::vector<double> next(kDepth + 1, 0.0);
    for (int depth = 0; depth <= kDepth; ++depth) {
      const double open = depth == 0 ? 1 : depth == kDepth ? 0 : kOpen;
      if (open > 0) next[depth + 1] += at_depth[depth] * open;
      if (open < 1) next[depth - 1] += at_depth[depth] * (1 - open);
      const double surprise =
          (open > 0 ? -open * std::log(open / kKinds) : 0) + (open < 1 ? -(1 - open) * std::log(1 - open) : 0);
      if (token > 0) entropy += at_depth[depth] * surprise / kLength;
    }
    at_depth = next;
  }
  const auto task = task_of("dyck: {kinds: 2, depth: 5, length: 400, open: 0.5}");
  double mean = 0;
  constexpr int kExamples = 300;
  for (int index = 0; index < kExamples; ++index) {
    const Example example = example_of(*task, index);
    mean += std::accumulate(example.optimum.begin(), example.optimum.end(), 0.0) / kLength / kExamples;
  }
  EXPECT_NEAR(mean, entropy, 0.005);
}

}  // namespace
}  // namespace attnlab::tasks
