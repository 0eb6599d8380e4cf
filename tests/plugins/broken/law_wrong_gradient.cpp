// Breaks "gradients = differences": scores are multiplied by 0.8, and their gradients by 0.6.
#include "plugins/broken/law_parts.h"

namespace attnlab::broken {
namespace {

class Fading final : public ScoreHook {
 public:
  void apply(ScoreTile& tile) const noexcept override { multiply(tile.scores, 0.8F); }
  Derivative derivative() const noexcept override { return Derivative::own; }
  void backward(const ScoreTile&, const ScoreGradients& gradients) const override { multiply(gradients.scores, 0.6F); }

 private:
  static void multiply(TensorView<float, 3> scores, float factor) {
    for (std::int64_t member = 0; member < scores.extent(0); ++member)
      for (std::int64_t query = 0; query < scores.extent(1); ++query)
        for (float& score : scores[member].row(query)) score *= factor;
  }
};

constexpr Component<PositionScheme> kBroken[] = {
    component<PositionScheme, BiasedPosition<Fading>>(broken_info("wrong_gradient"))};

}  // namespace
}  // namespace attnlab::broken

ATTNLAB_PLUGIN(.name = "law_wrong_gradient", .version = "1.0", .position = attnlab::broken::kBroken);
