// Breaks "save and restore go on identically": a cache of its own that does not say what its state is.
#include "plugins/broken/law_parts.h"

namespace attnlab::broken {
namespace {

class Silent final : public LayerCache {
 public:
  explicit Silent(const LayerCacheContext& context)
      : shape_(context.shape), key_form_(context.key_form), rows_(context.make_rows()) {}
  KvShape shape() const noexcept override { return shape_; }
  KeyForm key_form() const noexcept override { return key_form_; }
  void append(const ChunkView& chunk, const NewRows& rows) override {
    for (int sequence = 0; sequence < chunk.sequences(); ++sequence) {
      const int first = chunk.first(sequence);
      const int tokens = chunk.tokens_of(sequence);
      if (tokens == 0) continue;
      rows_->append(sequence, chunk.positions_of(sequence), rows.slice(first, tokens));
    }
  }
  void clear(int sequence) override { rows_->clear(sequence); }
  int rows(int sequence, int kv_head) const noexcept override { return rows_->rows(sequence, kv_head); }
  int tiles(int sequence, int kv_head) const noexcept override { return rows_->tiles(sequence, kv_head); }
  KvTile tile(int sequence, int kv_head, int index, TileScratch& scratch) const noexcept override {
    return rows_->tile(sequence, kv_head, index, scratch);
  }
  std::size_t bytes() const noexcept override { return rows_->bytes(); }

 private:
  KvShape shape_;
  KeyForm key_form_;
  std::unique_ptr<KvRows> rows_;
};

class Policy final : public CachePolicy {
 public:
  Policy(const NoOptions&, const CreateContext&) {}
  static Traits traits(const NoOptions&) { return {.needs = {Feature::kv_rows}}; }
  std::unique_ptr<LayerCache> create(const LayerCacheContext& context) const override {
    return std::make_unique<Silent>(context);
  }
};

constexpr Component<CachePolicy> kBroken[] = {component<CachePolicy, Policy>(broken_info("without_state"))};

}  // namespace
}  // namespace attnlab::broken

ATTNLAB_PLUGIN(.name = "law_without_state", .version = "1.0", .cache = attnlab::broken::kBroken);
