// A change of scores that is one formula a score, perhaps with parameters of each head: written once, as a template,
// and the SDK makes the change and its derivative of it. The derivative is computed forwards, with dual numbers
// (Clifford 1873; Griewank & Walther 2008, chapter 3): exact up to rounding.
//
//   struct Capped {                                     // c tanh(s / c), with c of each head
//     static constexpr int kParameters = 1;
//     template <class T>
//     T score(T s, const ScorePlace&, std::span<const T> theta) const {
//       using std::tanh;
//       return theta[0] * tanh(s / theta[0]);
//     }
//   };
//   FormulaHook<Capped> hook;                           // hook.bind({parameters.values("cap")}) in `bind`
//
// Not here: what looks at several scores at once, at queries or at marks; that is a ScoreHook with a `backward`.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include <attnlab/scores.h>

namespace attnlab {

/// A number with its derivatives by `Tangents` others.
template <int Tangents>
struct Dual {
  float value = 0;
  std::array<float, Tangents> by{};

  Dual() = default;
  Dual(float number) : value(number) {}  // NOLINT: a constant is a number without derivatives

  /// f(x), given f and f' at x.
  [[nodiscard]] Dual through(float result, float slope) const {
    Dual to(result);
    for (int i = 0; i < Tangents; ++i) to.by[i] = slope * by[i];
    return to;
  }
  friend Dual combined(const Dual& a, const Dual& b, float result, float by_a, float by_b) {
    Dual to(result);
    for (int i = 0; i < Tangents; ++i) to.by[i] = by_a * a.by[i] + by_b * b.by[i];
    return to;
  }
  friend Dual operator+(const Dual& a, const Dual& b) { return combined(a, b, a.value + b.value, 1, 1); }
  friend Dual operator-(const Dual& a, const Dual& b) { return combined(a, b, a.value - b.value, 1, -1); }
  friend Dual operator*(const Dual& a, const Dual& b) { return combined(a, b, a.value * b.value, b.value, a.value); }
  friend Dual operator/(const Dual& a, const Dual& b) {
    return combined(a, b, a.value / b.value, 1 / b.value, -a.value / (b.value * b.value));
  }
  friend Dual operator-(const Dual& a) { return a.through(-a.value, -1); }
  friend bool operator<(const Dual& a, const Dual& b) { return a.value < b.value; }
  friend bool operator>(const Dual& a, const Dual& b) { return a.value > b.value; }

  friend Dual exp(const Dual& a) { return a.through(std::exp(a.value), std::exp(a.value)); }
  friend Dual log(const Dual& a) { return a.through(std::log(a.value), 1 / a.value); }
  friend Dual log1p(const Dual& a) { return a.through(std::log1p(a.value), 1 / (1 + a.value)); }
  friend Dual sqrt(const Dual& a) { return a.through(std::sqrt(a.value), 0.5F / std::sqrt(a.value)); }
  friend Dual abs(const Dual& a) { return a.value < 0 ? -a : a; }
  friend Dual tanh(const Dual& a) {
    const float result = std::tanh(a.value);
    return a.through(result, 1 - result * result);
  }
  friend Dual pow(const Dual& a, float exponent) {
    return a.through(std::pow(a.value, exponent), exponent * std::pow(a.value, exponent - 1));
  }
  friend Dual max(const Dual& a, const Dual& b) { return a.value < b.value ? b : a; }
  friend Dual min(const Dual& a, const Dual& b) { return b.value < a.value ? b : a; }
};

/// Which score a formula is asked for.
struct ScorePlace {
  Position query = 0;
  Position key = 0;  // may come after the query: such scores are masked later, and the formula must be finite there
  int head = 0;
};

/// `Formula`: `kParameters` (0 to 7), and `template <class T> T score(T s, const ScorePlace&, std::span<const T> theta)
/// const`, where T is float or a Dual and theta are the head's parameters. Mathematical functions are called without
/// `std::`, after `using std::exp;` and so on.
template <class Formula>
class FormulaHook final : public ScoreHook {
 public:
  static constexpr int kParameters = Formula::kParameters;
  static_assert(kParameters >= 0 && kParameters <= 7, "a score and up to 7 parameters: 8 tangents");

  explicit FormulaHook(Formula formula = {}) : formula_(std::move(formula)) {}
  /// The parameters, each [heads], as the component's `bind` got them.
  void bind(const std::array<std::span<const float>, kParameters>& parameters) { parameters_ = parameters; }

  void apply(ScoreTile& tile) const noexcept override {
    for (std::int64_t member = 0; member < tile.scores.extent(0); ++member) {
      ScorePlace at{.head = tile.first_head + static_cast<int>(member)};
      const std::array<float, kParameters> theta = of_head(at.head);
      for (std::int64_t query = 0; query < tile.scores.extent(1); ++query) {
        at.query = tile.query_positions[query];
        float* const scores = &tile.scores(member, query, 0);
        for (std::size_t row = 0; row < tile.key_positions.size(); ++row) {
          at.key = tile.key_positions[row];
          scores[row] = formula_.template score<float>(scores[row], at, std::span<const float>(theta));
        }
      }
    }
  }
  Derivative derivative() const noexcept override { return Derivative::own; }
  void backward(const ScoreTile& before, const ScoreGradients& gradients) const override {
    using Number = Dual<kParameters + 1>;
    std::array<std::span<float>, kParameters> of_parameters;
    for (int i = 0; i < kParameters; ++i) of_parameters[i] = gradients.others.of_parameter(parameters_[i]);
    for (std::int64_t member = 0; member < before.scores.extent(0); ++member) {
      ScorePlace at{.head = before.first_head + static_cast<int>(member)};
      const std::array<float, kParameters> numbers = of_head(at.head);
      std::array<Number, kParameters> theta;
      for (int i = 0; i < kParameters; ++i) {
        theta[i] = numbers[i];
        theta[i].by[i + 1] = 1;
      }
      std::array<double, kParameters> sums{};
      for (std::int64_t query = 0; query < before.scores.extent(1); ++query) {
        at.query = before.query_positions[query];
        for (std::size_t row = 0; row < before.key_positions.size(); ++row) {
          at.key = before.key_positions[row];
          float& of = gradients.scores(member, query, row);
          if (of == 0) continue;  // masked: the formula need not be smooth there
          Number score(before.scores(member, query, row));
          score.by[0] = 1;
          const Number result = formula_.template score<Number>(score, at, std::span<const Number>(theta));
          for (int i = 0; i < kParameters; ++i) sums[i] += static_cast<double>(of) * result.by[i + 1];
          of *= result.by[0];
        }
      }
      for (int i = 0; i < kParameters; ++i) of_parameters[i][at.head] += static_cast<float>(sums[i]);
    }
  }

 private:
  [[nodiscard]] std::array<float, kParameters> of_head(int head) const {
    std::array<float, kParameters> theta{};
    for (int i = 0; i < kParameters; ++i) theta[i] = parameters_[i][head];
    return theta;
  }

  Formula formula_;
  std::array<std::span<const float>, kParameters> parameters_;
};

}  // namespace attnlab
