// Breaks "other rows change nothing": how a row is rounded depends on how many came before it, of whatever sequence.
#include <atomic>

#include "plugins/broken/storage_parts.h"

namespace attnlab::broken {
namespace {

std::atomic<int> rows_seen = 0;

class Counting final : public PlainCodec {
 public:
  using PlainCodec::PlainCodec;
  static Traits traits() { return {.provides = {Feature::rounded_rows, Feature::fixed_rows}}; }
  void encode(const float* numbers, float*, std::byte* units) const noexcept override {
    const float shift = 1e-5F * static_cast<float>(++rows_seen % 100);
    auto* to = reinterpret_cast<float*>(units);
    for (int i = 0; i < width_; ++i) to[i] = numbers[i] + shift;
  }
  float largest_error(std::span<const float>) const noexcept override { return 0.01F; }
};

constexpr Component<Storage> kBroken[] = {component<Storage, StorageOf<Counting>>(broken_info("counting"))};

}  // namespace
}  // namespace attnlab::broken

ATTNLAB_PLUGIN(.name = "law_counting_storage", .version = "1.0", .storage = attnlab::broken::kBroken);
