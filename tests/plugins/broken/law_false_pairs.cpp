// Breaks "declared traits are true": says that it turns pairs whose angles add up, but they grow with the square of the
// position.
#include "plugins/broken/law_parts.h"

namespace attnlab::broken {
namespace {

class BySquare final : public Rotation {
 public:
  TurnedPairs pairs() const noexcept override { return {4, TurnedPairs::Order::neighbours}; }
  void rotate(const RotateArgs& args, TensorView<float, 3> rows) const noexcept override {
    for (std::int64_t i = 0; i < rows.extent(0); ++i) {
      const auto position = static_cast<float>(args.positions[i]);
      const float angle = 1e-3F * position * position;
      for (std::int64_t head = 0; head < rows.extent(1); ++head)
        for (std::int64_t channel = 0; channel < 4; channel += 2) {
          const float a = rows(i, head, channel), b = rows(i, head, channel + 1);
          rows(i, head, channel) = a * std::cos(angle) - b * std::sin(angle);
          rows(i, head, channel + 1) = b * std::cos(angle) + a * std::sin(angle);
        }
    }
  }
};

constexpr Component<PositionScheme> kBroken[] = {
    component<PositionScheme, RotatedPosition<BySquare>>(broken_info("false_pairs"))};

}  // namespace
}  // namespace attnlab::broken

ATTNLAB_PLUGIN(.name = "law_false_pairs", .version = "1.0", .position = attnlab::broken::kBroken);
