// Breaks "agrees with a slow reference": from the tenth row on, what is read is not what was appended.
#include "plugins/broken/law_parts.h"

namespace attnlab::broken {
namespace {

class OtherRows final : public LayerCache {
 public:
  explicit OtherRows(std::unique_ptr<LayerCache> inner) : inner_(std::move(inner)) {}
  KvShape shape() const noexcept override { return inner_->shape(); }
  KeyForm key_form() const noexcept override { return inner_->key_form(); }
  void append(const ChunkView& chunk, const NewRows& rows) override { inner_->append(chunk, rows); }
  void end_chunk(const ChunkView& chunk) override { inner_->end_chunk(chunk); }
  void clear(int sequence) override { inner_->clear(sequence); }
  int rows(int sequence, int kv_head) const noexcept override { return inner_->rows(sequence, kv_head); }
  std::size_t bytes() const noexcept override { return inner_->bytes(); }
  int tiles(int sequence, int kv_head) const noexcept override { return inner_->tiles(sequence, kv_head); }
  KvTile tile(int sequence, int kv_head, int index, TileScratch& scratch) const noexcept override {
    KvTile tile = inner_->tile(sequence, kv_head, index, scratch);
    const int width = inner_->shape().value_dim;
    for (int row = 0; row < tile.rows(); ++row)
      for (int i = 0; i < width; ++i)
        scratch.values[row * width + i] = tile.values(row, i) * (tile.positions[row] < 10 ? 1.0F : 1.001F);
    tile.values = {scratch.values.data(), {tile.rows(), width}};
    return tile;
  }

 private:
  std::unique_ptr<LayerCache> inner_;
};

class OtherRowsPolicy final : public CachePolicy {
 public:
  OtherRowsPolicy(const NoOptions&, const CreateContext&) {}
  static Traits traits(const NoOptions&) { return {.needs = {Feature::kv_rows}}; }
  std::unique_ptr<LayerCache> create(const LayerCacheContext& context) const override {
    return std::make_unique<OtherRows>(rows_cache(context, nullptr));
  }
};

constexpr Component<CachePolicy> kBroken[] = {component<CachePolicy, OtherRowsPolicy>(broken_info("other_rows"))};

}  // namespace
}  // namespace attnlab::broken

ATTNLAB_PLUGIN(.name = "law_other_rows", .version = "1.0", .cache = attnlab::broken::kBroken);
