// Breaks "wrong sizes are refused": rows of one number come back as none, instead of being refused by codec().
#include "plugins/broken/storage_parts.h"

namespace attnlab::broken {
namespace {

class Narrow final : public PlainCodec {
 public:
  using PlainCodec::PlainCodec;
  static Traits traits() { return {}; }
  void decode(const HeldRows& rows, float* to, std::int64_t stride) const noexcept override {
    PlainCodec::decode(rows, to, stride);
    const float ratio = static_cast<float>(width_ - 1) / static_cast<float>(width_ - 1);
    for (int row = 0; row < rows.rows; ++row)
      for (int i = 0; i < width_; ++i) to[row * stride + i] *= ratio;
  }
};

constexpr Component<Storage> kBroken[] = {component<Storage, StorageOf<Narrow>>(broken_info("narrow"))};

}  // namespace
}  // namespace attnlab::broken

ATTNLAB_PLUGIN(.name = "law_narrow_storage", .version = "1.0", .storage = attnlab::broken::kBroken);
