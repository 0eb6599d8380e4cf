// nearby: keys up to `near` tokens away cost nothing, those beyond cost more the farther they are. A bias, for the
// tests of the SDK; of no paper.
#include <attnlab/plugin.h>

#include "nearby.h"

namespace {
using namespace attnlab;

struct Options {
  std::int32_t near = 16;
  double slope = 0.05;

  static constexpr auto fields() {
    return std::tuple{field("near", &Options::near, {.min = 0, .unit = "tokens", .doc = "Distance that is free."}),
                      field("slope", &Options::slope, {.min = 0, .doc = "Cost of each token beyond."})};
  }
};

class Penalty final : public ScoreHook {
 public:
  explicit Penalty(const Options& options) : options_(options) {}
  void apply(ScoreTile& tile) const noexcept override {
    const auto slope = static_cast<float>(options_.slope);
    for (std::int64_t member = 0; member < tile.scores.extent(0); ++member)
      for (std::int64_t query = 0; query < tile.scores.extent(1); ++query)
        for (std::size_t row = 0; row < tile.key_positions.size(); ++row)
          tile.scores(member, query, row) -=
              nearby::penalty(tile.query_positions[query] - tile.key_positions[row], options_.near, slope);
  }

 private:
  Options options_;
};

class Nearby final : public PositionScheme {
 public:
  Nearby(const Options& options, const CreateContext&) : penalty_(options) {}
  static Traits traits(const Options&) { return {.provides = {Feature::score_bias}}; }
  const ScoreHook* score_bias() const override { return &penalty_; }

 private:
  Penalty penalty_;
};

constexpr Component<PositionScheme> kPosition[] = {component<PositionScheme, Nearby, Options>(
    {.id = "nearby", .summary = "A penalty that begins at a distance.", .reference = "tests of the SDK"})};
}  // namespace

ATTNLAB_PLUGIN(.name = "nearby", .version = "1.0", .position = kPosition);
