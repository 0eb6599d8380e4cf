// The full cache: every row stays. The baseline of all others.
#include <attnlab/plugin.h>

namespace {

class FullCache final : public attnlab::LayerCache {
 public:
  explicit FullCache(const attnlab::LayerCacheContext& context)
      : shape_(context.shape), key_form_(context.key_form), rows_(context.make_rows()) {}

  attnlab::KvShape shape() const noexcept override { return shape_; }
  attnlab::KeyForm key_form() const noexcept override { return key_form_; }
  void append(const attnlab::ChunkView& chunk, attnlab::TensorView<const float, 3> keys,
              attnlab::TensorView<const float, 3> values) override {
    for (int sequence = 0; sequence < chunk.sequences(); ++sequence) {
      const int first = chunk.first(sequence);
      const int tokens = chunk.tokens_of(sequence);
      rows_->append(sequence, chunk.positions_of(sequence), keys.slice(first, tokens), values.slice(first, tokens));
    }
  }
  void clear(int sequence) override { rows_->clear(sequence); }
  int rows(int sequence, int kv_head) const noexcept override { return rows_->rows(sequence, kv_head); }
  int tiles(int sequence, int kv_head) const noexcept override { return rows_->tiles(sequence, kv_head); }
  attnlab::KvTile tile(int sequence, int kv_head, int index, attnlab::TileScratch& scratch) const noexcept override {
    return rows_->tile(sequence, kv_head, index, scratch);
  }
  std::size_t bytes() const noexcept override { return rows_->bytes(); }

 private:
  attnlab::KvShape shape_;
  attnlab::KeyForm key_form_;
  std::unique_ptr<attnlab::KvRows> rows_;
};

class Full final : public attnlab::CachePolicy {
 public:
  Full(const attnlab::NoOptions&, const attnlab::CreateContext&) {}
  static attnlab::Traits traits(const attnlab::NoOptions&) { return {}; }
  std::unique_ptr<attnlab::LayerCache> create(const attnlab::LayerCacheContext& context) const override {
    return std::make_unique<FullCache>(context);
  }
};

constexpr attnlab::Component<attnlab::CachePolicy> kCache[] = {attnlab::component<attnlab::CachePolicy, Full>(
    {.id = "full", .summary = "Keeps every row.", .reference = "arXiv:1706.03762"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "full", .version = "1.0", .cache = kCache);
