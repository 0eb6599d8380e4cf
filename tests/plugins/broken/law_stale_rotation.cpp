// Breaks "cached = uncached": angles depend on the length of the sequence, which is not declared, so that stored keys
// go stale with every step.
#include "plugins/broken/law_parts.h"

namespace attnlab::broken {
namespace {

class ByLength final : public Rotation {
 public:
  void rotate(const RotateArgs& args, TensorView<float, 3> rows) const noexcept override {
    for (std::int64_t i = 0; i < rows.extent(0); ++i) {
      const float angle = 16.0F * static_cast<float>(args.positions[i]) / static_cast<float>(args.length);
      const float cosine = std::cos(angle);
      const float sine = std::sin(angle);
      for (std::int64_t head = 0; head < rows.extent(1); ++head)
        for (std::int64_t channel = 0; channel + 1 < rows.extent(2); channel += 2) {
          const float a = rows(i, head, channel);
          const float b = rows(i, head, channel + 1);
          rows(i, head, channel) = a * cosine - b * sine;
          rows(i, head, channel + 1) = b * cosine + a * sine;
        }
    }
  }
};

constexpr Component<PositionScheme> kBroken[] = {
    component<PositionScheme, RotatedPosition<ByLength>>(broken_info("stale_rotation"))};

}  // namespace
}  // namespace attnlab::broken

ATTNLAB_PLUGIN(.name = "law_stale_rotation", .version = "1.0", .position = attnlab::broken::kBroken);
