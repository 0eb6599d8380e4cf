// Formulas of one score: the change, and the derivatives that dual numbers give, against differences in double
// precision.
#include <attnlab/score_formula.h>

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "reference/streams.h"

namespace attnlab {
namespace {

using reference::Stream;

// Everything that a formula may be made of; T is double in the reference.
struct Everything {
  static constexpr int kParameters = 2;
  template <class T>
  T score(T s, const ScorePlace& at, std::span<const T> theta) const {
    using std::abs, std::exp, std::log, std::log1p, std::max, std::min, std::pow, std::sqrt, std::tanh;
    const auto distance = static_cast<float>(std::max(at.query - at.key, 0));
    const T fading = log1p(abs(theta[0]) * T(distance)) + sqrt(exp(theta[1]) + T(1.0F));
    const T capped = theta[1] * tanh(s / theta[1]) - T(0.3F) * fading;
    return max(capped, min(s, T(0.5F))) + pow(log(exp(s) + T(1.0F)), 1.5F) / T(static_cast<float>(at.head + 1));
  }
};

struct Halved {
  static constexpr int kParameters = 0;
  template <class T>
  T score(T s, const ScorePlace&, std::span<const T>) const {
    return T(0.5F) * s;
  }
};

// Parameters of the test; there are no buffers.
class Kept final : public Gradients {
 public:
  std::span<float> of_parameter(std::span<const float> values) override {
    std::vector<float>& of = kept_[values.data()];
    of.resize(values.size());
    return of;
  }

 protected:
  float* of_buffer(const float*) override { return nullptr; }

 private:
  std::map<const float*, std::vector<float>> kept_;
};

struct Tile {
  std::vector<Position> queries{3, 4, 9}, keys{0, 1, 5, 4};
  std::vector<float> scores = Stream(1).normals(2 * 3 * 4), of = Stream(2).normals(2 * 3 * 4);
  ScoreTile view(std::vector<float>& numbers) {
    return {.scores = {numbers.data(), {2, 3, 4}}, .query_positions = queries, .key_positions = keys, .first_head = 1};
  }
};

TEST(ScoreFormula, HasTheDerivativesOfDifferences) {
  const std::vector<float> first{9, 0.4F, 0.7F}, second{9, 1.3F, 2.1F};  // of heads 0 to 2
  FormulaHook<Everything> hook;
  hook.bind({first, second});
  EXPECT_EQ(hook.derivative(), Derivative::own);
  Tile tile;
  std::vector<float> applied = tile.scores;
  ScoreTile changed = tile.view(applied);
  hook.apply(changed);

  std::vector<float> of = tile.of;
  Kept kept;
  hook.backward(tile.view(tile.scores),
                {.scores = tile.view(of).scores, .key_marks = {}, .queries = {}, .others = kept});

  constexpr double kStep = 1e-6;
  double of_first[3] = {}, of_second[3] = {};
  for (int member = 0; member < 2; ++member)
    for (int query = 0; query < 3; ++query)
      for (int row = 0; row < 4; ++row) {
        const std::size_t index = (member * 3 + query) * 4 + row;
        const ScorePlace at{tile.queries[query], tile.keys[row], member + 1};
        const auto value = [&](double s, double a, double b) {
          const double theta[] = {a, b};
          return Everything().score<double>(s, at, theta);
        };
        const double s = tile.scores[index], a = first[member + 1], b = second[member + 1];
        EXPECT_NEAR(applied[index], value(s, a, b), 1e-5);
        const double by_s = (value(s + kStep, a, b) - value(s - kStep, a, b)) / (2 * kStep);
        EXPECT_NEAR(of[index], tile.of[index] * by_s, 1e-4);
        of_first[member + 1] += tile.of[index] * (value(s, a + kStep, b) - value(s, a - kStep, b)) / (2 * kStep);
        of_second[member + 1] += tile.of[index] * (value(s, a, b + kStep) - value(s, a, b - kStep)) / (2 * kStep);
      }
  for (int head = 0; head < 3; ++head) {
    EXPECT_NEAR(kept.of_parameter(first)[head], of_first[head], 2e-4) << head;
    EXPECT_NEAR(kept.of_parameter(second)[head], of_second[head], 2e-4) << head;
  }
}

TEST(ScoreFormula, NeedsNoParameters) {
  FormulaHook<Halved> hook;
  Tile tile;
  std::vector<float> of = tile.of;
  Kept kept;
  hook.backward(tile.view(tile.scores),
                {.scores = tile.view(of).scores, .key_marks = {}, .queries = {}, .others = kept});
  for (std::size_t i = 0; i < of.size(); ++i) EXPECT_EQ(of[i], 0.5F * tile.of[i]);
}

}  // namespace
}  // namespace attnlab
