// Breaks "forks and rollbacks leave no trace": a fork of its own that leaves the last token out.
#include "plugins/broken/law_parts.h"

namespace attnlab::broken {
namespace {

class ShortFork final : public LayerCache {
 public:
  explicit ShortFork(const LayerCacheContext& context) : inner_(rows_cache(context, nullptr)) {}
  KvShape shape() const noexcept override { return inner_->shape(); }
  KeyForm key_form() const noexcept override { return inner_->key_form(); }
  void append(const ChunkView& chunk, const NewRows& rows) override { inner_->append(chunk, rows); }
  void end_chunk(const ChunkView& chunk) override { inner_->end_chunk(chunk); }
  void clear(int sequence) override { inner_->clear(sequence); }
  int rows(int sequence, int kv_head) const noexcept override { return inner_->rows(sequence, kv_head); }
  int tiles(int sequence, int kv_head) const noexcept override { return inner_->tiles(sequence, kv_head); }
  KvTile tile(int sequence, int kv_head, int index, TileScratch& scratch) const noexcept override {
    return inner_->tile(sequence, kv_head, index, scratch);
  }
  std::size_t bytes() const noexcept override { return inner_->bytes(); }
  void save(int sequence, StateWriter& to) const override { inner_->save(sequence, to); }
  void restore(int sequence, StateReader& from) override { inner_->restore(sequence, from); }
  void fork(int from, int to) override {
    inner_->fork(from, to);
    inner_->truncate(to, inner_->rows(from, 0) - 1);
  }

 private:
  std::unique_ptr<LayerCache> inner_;
};

class Policy final : public CachePolicy {
 public:
  Policy(const NoOptions&, const CreateContext&) {}
  static Traits traits(const NoOptions&) { return {.needs = {Feature::kv_rows}}; }
  std::unique_ptr<LayerCache> create(const LayerCacheContext& context) const override {
    return std::make_unique<ShortFork>(context);
  }
};

constexpr Component<CachePolicy> kBroken[] = {component<CachePolicy, Policy>(broken_info("short_fork"))};

}  // namespace
}  // namespace attnlab::broken

ATTNLAB_PLUGIN(.name = "law_short_fork", .version = "1.0", .cache = attnlab::broken::kBroken);
