// Breaks "rows read back within their error": half of the numbers' bits are cut off, and a hundredth of that is
// declared.
#include <cmath>

#include "plugins/broken/storage_parts.h"

namespace attnlab::broken {
namespace {

class Rough final : public PlainCodec {
 public:
  using PlainCodec::PlainCodec;
  static Traits traits() { return {.provides = {Feature::rounded_rows, Feature::fixed_rows}}; }
  void encode(const float* numbers, float*, std::byte* units) const noexcept override {
    auto* to = reinterpret_cast<float*>(units);
    for (int i = 0; i < width_; ++i) to[i] = std::round(numbers[i] * 16) / 16;
  }
  float largest_error(std::span<const float>) const noexcept override { return 1.0F / 3200; }
};

constexpr Component<Storage> kBroken[] = {component<Storage, StorageOf<Rough>>(broken_info("rough"))};

}  // namespace
}  // namespace attnlab::broken

ATTNLAB_PLUGIN(.name = "law_rough_storage", .version = "1.0", .storage = attnlab::broken::kBroken);
