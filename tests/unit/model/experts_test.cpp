// Which experts a token goes through, against a slow search, and rules of single families by hand.
#include <cmath>
#include <numeric>
#include <random>

#include <gtest/gtest.h>

#include "model/experts.h"

namespace attnlab::model {
namespace {

std::vector<float> random_scores(int count, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0, 2);
  std::vector<float> scores(static_cast<std::size_t>(count));
  for (float& score : scores) score = normal(generator);
  return scores;
}

double sum_of(const std::vector<ExpertShare>& shares) {
  double sum = 0;
  for (const ExpertShare& each : shares) sum += each.share;
  return sum;
}

TEST(ChosenExperts, AreTheBestOfASoftmax) {
  const std::vector<float> scores{1, 3, 2, -1};
  const auto chosen = choose_experts({.count = 4, .chosen = 2}, scores, {});
  ASSERT_EQ(chosen.size(), 2U);
  EXPECT_EQ(chosen[0].expert, 1);
  EXPECT_EQ(chosen[1].expert, 2);
  const double total = std::exp(1.0) + std::exp(3.0) + std::exp(2.0) + std::exp(-1.0);
  EXPECT_NEAR(chosen[0].share, std::exp(3.0) / total, 1e-6);
  EXPECT_NEAR(chosen[1].share, std::exp(2.0) / total, 1e-6);
  const auto renormalised = choose_experts({.count = 4, .chosen = 2, .renormalises = true}, scores, {});
  EXPECT_NEAR(renormalised[0].share, 1 / (1 + std::exp(-1.0)), 1e-6);
  EXPECT_NEAR(sum_of(renormalised), 1, 1e-6);
}

TEST(ChosenExperts, OfEqualScoresAreTheFirst) {
  const auto chosen = choose_experts({.count = 5, .chosen = 3}, std::vector<float>(5, 0.5F), {});
  EXPECT_EQ(chosen[0].expert, 0);
  EXPECT_EQ(chosen[1].expert, 1);
  EXPECT_EQ(chosen[2].expert, 2);
}

TEST(ChosenExperts, MayShareASoftmaxOfTheirOwn) {
  const std::vector<float> scores{5, 1, 4, 0};
  const auto chosen = choose_experts({.count = 4, .chosen = 2, .score = RouterScore::softmax_of_chosen}, scores, {});
  EXPECT_NEAR(chosen[0].share, 1 / (1 + std::exp(-1.0)), 1e-6);
  EXPECT_NEAR(sum_of(chosen), 1, 1e-6);
}

TEST(ChosenExperts, AreChosenByABiasThatIsInNoShare) {
  const std::vector<float> scores{0, 0, 0, 0}, bias{0, 0.5F, 0, 0.25F};
  const ExpertsConfig config{.count = 4,
                             .chosen = 2,
                             .score = RouterScore::sigmoid,
                             .renormalises = true,
                             .scale = 3,
                             .has_choice_bias = true};
  const auto chosen = choose_experts(config, scores, bias);
  EXPECT_EQ(chosen[0].expert, 1);
  EXPECT_EQ(chosen[1].expert, 3);
  EXPECT_NEAR(chosen[0].share, 1.5, 1e-6);
  EXPECT_NEAR(chosen[1].share, 1.5, 1e-6);
}

// Groups of 2: the best expert stands alone in the first; the second has the two best together.
TEST(ChosenExperts, ComeFromTheGroupsThatCount) {
  const std::vector<float> scores{4, -9, 3, 3, 0, 0};
  ExpertsConfig config{.count = 6, .chosen = 2, .groups = 3, .chosen_groups = 1};
  EXPECT_EQ(choose_experts(config, scores, {})[0].expert, 0);
  EXPECT_EQ(choose_experts(config, scores, {})[1].expert, 1) << "the other group is closed";
  config.score = RouterScore::sigmoid;
  config.groups_by_two_best = true;
  EXPECT_EQ(choose_experts(config, scores, {})[0].expert, 2);
  EXPECT_EQ(choose_experts(config, scores, {})[1].expert, 3);
}

// Every set of groups and experts that is allowed, by trying all experts one after the other.
TEST(ChosenExperts, AgreeWithASlowSearch) {
  for (unsigned seed = 0; seed < 50; ++seed) {
    const std::vector<float> scores = random_scores(12, seed);
    const ExpertsConfig config{.count = 12, .chosen = 4, .groups = 4, .chosen_groups = 2};
    const auto chosen = choose_experts(config, scores, {});
    const auto best_of = [&](int group) {
      return *std::max_element(scores.begin() + group * 3, scores.begin() + (group + 1) * 3);
    };
    double total = 0;
    for (const float score : scores) total += std::exp(double{score});
    std::vector<int> right;
    for (int place = 0; place < 4; ++place) {
      int best = -1;
      for (int expert = 0; expert < 12; ++expert) {
        int better_groups = 0;
        for (int group = 0; group < 4; ++group) better_groups += best_of(group) > best_of(expert / 3) ? 1 : 0;
        const bool is_taken = std::find(right.begin(), right.end(), expert) != right.end();
        if (better_groups < 2 && !is_taken && (best < 0 || scores[expert] > scores[best])) best = expert;
      }
      right.push_back(best);
      EXPECT_EQ(chosen[place].expert, best) << seed;
      EXPECT_NEAR(chosen[place].share, std::exp(double{scores[best]}) / total, 1e-6) << seed;
    }
  }
}

}  // namespace
}  // namespace attnlab::model
