// KERPLE, logarithmic form: the score of a key falls with the logarithm of its distance, -r1 ln(1 + r2 distance), with
// two learned numbers per head; nothing is rotated or embedded. Chi et al. 2022. Not here: its power form.
// r1 and r2 are used as they are stored. The authors clamp them at 0.01 in training, so values that are not positive
// cannot come from a checkpoint of this method, and are refused.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <attnlab/error.h>
#include <attnlab/plugin.h>

namespace {

using attnlab::Position;

class LogPenalty final : public attnlab::ScoreHook {
 public:
  // r1, r2 [heads], positive
  void fill(std::span<const float> r1, std::span<const float> r2, int max_positions) {
    of_r1_ = r1;
    of_r2_ = r2;
    r1_.assign(r1.begin(), r1.end());
    r2_.assign(r2.begin(), r2.end());
    distances_ = std::clamp(max_positions, 1, kTableDistances);
    table_.resize(r1.size() * distances_);
    for (std::size_t head = 0; head < r1.size(); ++head)
      for (Position distance = 0; distance < distances_; ++distance)
        table_[head * distances_ + distance] = penalty(head, distance);
  }

  attnlab::Derivative derivative() const noexcept override { return attnlab::Derivative::own; }
  // s - r1 ln(1 + r2 m): by r1 it is -ln(1 + r2 m), by r2 -r1 m / (1 + r2 m).
  void backward(const attnlab::ScoreTile& before, const attnlab::ScoreGradients& gradients) const override {
    const std::span<float> of_r1 = gradients.others.of_parameter(of_r1_);
    const std::span<float> of_r2 = gradients.others.of_parameter(of_r2_);
    for (std::int64_t member = 0; member < before.scores.extent(0); ++member) {
      const std::size_t head = before.first_head + member;
      double by_r1 = 0, by_r2 = 0;
      for (std::int64_t query = 0; query < before.scores.extent(1); ++query)
        for (std::size_t row = 0; row < before.key_positions.size(); ++row) {
          const double distance = std::max(before.query_positions[query] - before.key_positions[row], 0);
          const double of = gradients.scores(member, query, row);
          by_r1 -= of * std::log1p(r2_[head] * distance);
          by_r2 -= of * r1_[head] * distance / (1 + r2_[head] * distance);
        }
      of_r1[head] += static_cast<float>(by_r1);
      of_r2[head] += static_cast<float>(by_r2);
    }
  }

  void apply(attnlab::ScoreTile& tile) const noexcept override {
    const std::span<const Position> keys = tile.key_positions;
    const Position oldest = *std::min_element(keys.begin(), keys.end());
    for (std::int64_t member = 0; member < tile.scores.extent(0); ++member) {
      const std::size_t head = tile.first_head + member;
      const float* table = table_.data() + head * distances_;
      for (std::int64_t query = 0; query < tile.scores.extent(1); ++query) {
        float* scores = &tile.scores(member, query, 0);
        const Position position = tile.query_positions[query];
        // Keys after the query are masked later; until then they count as distance 0.
        if (position - oldest < distances_) {
          for (std::size_t row = 0; row < keys.size(); ++row) scores[row] -= table[std::max(position - keys[row], 0)];
        } else {
          for (std::size_t row = 0; row < keys.size(); ++row)
            scores[row] -= penalty(head, std::max(position - keys[row], 0));
        }
      }
    }
  }

 private:
  static constexpr int kTableDistances = 8192;  // what lies beyond is computed when it comes

  float penalty(std::size_t head, Position distance) const noexcept {
    return static_cast<float>(r1_[head] * std::log1p(static_cast<double>(r2_[head]) * distance));
  }

  std::vector<double> r1_, r2_;           // [heads]
  std::span<const float> of_r1_, of_r2_;  // the parameters that they were taken from
  int distances_ = 0;
  std::vector<float> table_;  // [heads, distances]
};

class Kerple final : public attnlab::PositionScheme {
 public:
  Kerple(const attnlab::NoOptions&, const attnlab::CreateContext& context) : context_(context) {}
  static attnlab::Traits traits(const attnlab::NoOptions&) { return {.provides = {attnlab::Feature::score_bias}}; }

  std::vector<attnlab::ParameterSpec> parameters() const override {
    std::vector<attnlab::ParameterSpec> specs;
    for (const char* name : {"kerple_r1", "kerple_r2"})
      specs.push_back({.name = name,
                       .shape = {context_.heads},
                       .form = attnlab::ParameterForm::values,
                       .init = attnlab::Init::ones});
    return specs;
  }
  void bind(const attnlab::ParameterSet& parameters) override {
    r1_ = parameters.values("kerple_r1");
    r2_ = parameters.values("kerple_r2");
    refresh();
  }
  void refresh() override {
    penalty_.fill(positive(r1_, "kerple_r1"), positive(r2_, "kerple_r2"), context_.max_positions);
  }
  const attnlab::ScoreHook* score_bias() const override { return &penalty_; }

 private:
  std::span<const float> positive(std::span<const float> values, const std::string& name) const {
    for (std::size_t head = 0; head < values.size(); ++head)
      if (!(values[head] > 0))
        throw attnlab::Error("model.layers." + std::to_string(context_.layer) + ".self_attn." + name,
                             "head " + std::to_string(head) + " has " + std::to_string(values[head]) +
                                 ", but kerple needs numbers greater than 0",
                             "store the numbers as the authors use them, clamped at 0.01");
    return values;
  }

  attnlab::CreateContext context_;
  std::span<const float> r1_, r2_;  // [heads]
  LogPenalty penalty_;
};

constexpr attnlab::Component<attnlab::PositionScheme> kPosition[] = {
    attnlab::component<attnlab::PositionScheme, Kerple>(
        {.id = "kerple",
         .summary = "Scores fall with the logarithm of the distance, two learned numbers per head.",
         .reference = "arXiv:2205.09921"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "kerple", .version = "1.0", .position = kPosition);
