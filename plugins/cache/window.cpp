// The window: a query sees the newest `window` tokens, its own included, and no more are kept. Beltagy et al. 2020.
// Not here: windows of the attention that keep the rows (option `window` of gqa).
#include <limits>
#include <vector>

#include <attnlab/plugin.h>

namespace {

using attnlab::Position;

struct WindowOptions {
  std::int32_t window = 256;
  static constexpr auto fields() {
    return std::tuple{attnlab::field("window", &WindowOptions::window,
                                     {.min = 1, .unit = "tokens", .doc = "Newest tokens that stay, the query's own included."})};
  }
};

class WindowCache final : public attnlab::LayerCache {
 public:
  WindowCache(const WindowOptions& options, const attnlab::LayerCacheContext& context)
      : window_(options.window),
        shape_(context.shape),
        key_form_(context.key_form),
        visible_(options.window),
        rows_(context.make_rows()) {}

  attnlab::KvShape shape() const noexcept override { return shape_; }
  attnlab::KeyForm key_form() const noexcept override { return key_form_; }
  // Also for the queries of a prefill, which find more rows than the window in the cache.
  const attnlab::MaskRule* visibility() const noexcept override { return &visible_; }

  void append(const attnlab::ChunkView& chunk, attnlab::TensorView<const float, 3> keys,
              attnlab::TensorView<const float, 3> values) override {
    for (int sequence = 0; sequence < chunk.sequences(); ++sequence) {
      const int first = chunk.first(sequence);
      const int tokens = chunk.tokens_of(sequence);
      rows_->append(sequence, chunk.positions_of(sequence), keys.slice(first, tokens), values.slice(first, tokens));
    }
  }

  void end_chunk(const attnlab::ChunkView& chunk) override {
    std::vector<int> outside;
    for (int sequence = 0; sequence < chunk.sequences(); ++sequence) {
      if (chunk.tokens_of(sequence) == 0) continue;
      const Position oldest = chunk.positions_of(sequence).back() - window_ + 1;
      for (int head = 0; head < shape_.kv_heads; ++head) {
        const std::span<const Position> positions = rows_->positions(sequence, head);
        outside.clear();
        for (std::size_t row = 0; row < positions.size(); ++row)
          if (positions[row] < oldest) outside.push_back(static_cast<int>(row));
        rows_->drop(sequence, head, outside);
      }
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
  Position window_;
  attnlab::KvShape shape_;
  attnlab::KeyForm key_form_;
  attnlab::CausalMask visible_;
  std::unique_ptr<attnlab::KvRows> rows_;
};

class Window final : public attnlab::CachePolicy {
 public:
  Window(const WindowOptions& options, const attnlab::CreateContext&) : options_(options) {}
  static attnlab::Traits traits(const WindowOptions&) { return {.needs = {attnlab::Feature::kv_rows}}; }
  std::unique_ptr<attnlab::LayerCache> create(const attnlab::LayerCacheContext& context) const override {
    return std::make_unique<WindowCache>(options_, context);
  }

 private:
  WindowOptions options_;
};

constexpr attnlab::Component<attnlab::CachePolicy> kCache[] = {
    attnlab::component<attnlab::CachePolicy, Window, WindowOptions>(
        {.id = "window", .summary = "Keeps the newest tokens.", .reference = "arXiv:2004.05150"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "window", .version = "1.0", .cache = kCache);
