// Breaks "numbers are finite" where it shows least: queries and keys shrink to nothing at position 80, no numbers are
// left beyond it, and every score of these tokens is NaN.
#include "plugins/broken/law_parts.h"

namespace attnlab::broken {
namespace {

class Shrinking final : public Rotation {
 public:
  void rotate(const RotateArgs& args, TensorView<float, 3> rows) const noexcept override {
    for (std::int64_t i = 0; i < rows.extent(0); ++i)
      for (std::int64_t head = 0; head < rows.extent(1); ++head)
        for (std::int64_t channel = 0; channel < rows.extent(2); ++channel)
          rows(i, head, channel) *= std::sqrt(1 - static_cast<float>(args.positions[i]) / 80);
  }
};

constexpr Component<PositionScheme> kBroken[] = {
    component<PositionScheme, RotatedPosition<Shrinking>>(broken_info("nan_scores"))};

}  // namespace
}  // namespace attnlab::broken

ATTNLAB_PLUGIN(.name = "law_nan_scores", .version = "1.0", .position = attnlab::broken::kBroken);
