// ALiBi: a penalty linear in distance, one slope per head; nothing is rotated or embedded. Press et al. 2022.
#include <cmath>
#include <vector>

#include <attnlab/plugin.h>

namespace {

// Slopes 2^(-8 (h + 1) / n) for n heads, a power of two. Other counts, as in the authors' code: the slopes of the
// largest power of two m below, then every other one of the series for 2 m heads.
std::vector<float> slopes(int heads) {
  const auto series = [](int count) {
    std::vector<float> slopes;
    for (int head = 0; head < count; ++head) slopes.push_back(static_cast<float>(std::exp2(-8.0 * (head + 1) / count)));
    return slopes;
  };
  int power = 1;
  while (power * 2 <= heads) power *= 2;
  std::vector<float> all = series(power);
  const std::vector<float> finer = series(2 * power);
  for (int i = 0; static_cast<int>(all.size()) < heads; i += 2) all.push_back(finer[i]);
  return all;
}

class DistancePenalty final : public attnlab::ScoreHook {
 public:
  explicit DistancePenalty(int heads) : slopes_(slopes(heads)) {}

  attnlab::Derivative derivative() const noexcept override { return attnlab::Derivative::additive; }
  void apply(attnlab::ScoreTile& tile) const noexcept override {
    const std::size_t rows = tile.key_positions.size();
    for (std::int64_t member = 0; member < tile.scores.extent(0); ++member) {
      const float slope = slopes_[tile.first_head + member];
      for (std::int64_t query = 0; query < tile.scores.extent(1); ++query) {
        float* scores = &tile.scores(member, query, 0);
        const attnlab::Position position = tile.query_positions[query];
        for (std::size_t row = 0; row < rows; ++row)
          scores[row] -= slope * static_cast<float>(position - tile.key_positions[row]);
      }
    }
  }

 private:
  std::vector<float> slopes_;  // [heads]
};

class Alibi final : public attnlab::PositionScheme {
 public:
  Alibi(const attnlab::NoOptions&, const attnlab::CreateContext& context) : penalty_(context.heads) {}
  static attnlab::Traits traits(const attnlab::NoOptions&) { return {.provides = {attnlab::Feature::score_bias}}; }
  const attnlab::ScoreHook* score_bias() const override { return &penalty_; }

 private:
  DistancePenalty penalty_;
};

constexpr attnlab::Component<attnlab::PositionScheme> kPosition[] = {attnlab::component<attnlab::PositionScheme, Alibi>(
    {.id = "alibi",
     .summary = "Scores fall linearly with distance, one slope per head.",
     .reference = "arXiv:2108.12409"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "alibi", .version = "1.0", .position = kPosition);
