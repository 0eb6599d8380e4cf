// Breaks "any cut reads the same bits": what a row reads back depends on how many are read with it.
#include "plugins/broken/storage_parts.h"

namespace attnlab::broken {
namespace {

class Cut final : public PlainCodec {
 public:
  using PlainCodec::PlainCodec;
  static Traits traits() { return {.provides = {Feature::rounded_rows, Feature::fixed_rows}}; }
  void decode(const HeldRows& rows, float* to, std::int64_t stride) const noexcept override {
    PlainCodec::decode(rows, to, stride);
    for (int row = 0; row < rows.rows; ++row)
      for (int i = 0; i < width_; ++i) to[row * stride + i] += 1e-4F * static_cast<float>(rows.rows % 7 + row % 5);
  }
  float largest_error(std::span<const float>) const noexcept override { return 0.01F; }
};

constexpr Component<Storage> kBroken[] = {component<Storage, StorageOf<Cut>>(broken_info("cut"))};

}  // namespace
}  // namespace attnlab::broken

ATTNLAB_PLUGIN(.name = "law_cut_storage", .version = "1.0", .storage = attnlab::broken::kBroken);
