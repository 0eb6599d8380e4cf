// The window: a query sees the newest `window` tokens, its own included, and no more are kept. Beltagy et al. 2020.
// Not here: windows of the attention that keep the rows (option `window` of gqa).
#include <attnlab/eviction.h>
#include <attnlab/plugin.h>

namespace {

using attnlab::Feature;
using attnlab::Position;

struct WindowOptions {
  std::int32_t window = 256;
  static constexpr auto fields() {
    return std::tuple{
        attnlab::field("window", &WindowOptions::window,
                       {.min = 1, .unit = "tokens", .doc = "Newest tokens that stay, the query's own included."})};
  }
};

class Newest final : public attnlab::EvictionRule {
 public:
  Newest(Position window, int kv_heads) : window_(window), kv_heads_(kv_heads), visible_(window) {}

  // Also for the queries of a prefill, which find more rows than the window in the cache.
  const attnlab::MaskRule* visibility() const noexcept override { return &visible_; }

  void check(const attnlab::ChunkView& chunk, int sequence, attnlab::KvRows& rows) override {
    const Position oldest = chunk.positions_of(sequence).back() - window_ + 1;
    for (int head = 0; head < kv_heads_; ++head) {
      const std::span<const Position> positions = rows.positions(sequence, head);
      outside_.clear();
      for (std::size_t row = 0; row < positions.size(); ++row)
        if (positions[row] < oldest) outside_.push_back(static_cast<int>(row));
      rows.drop(sequence, head, outside_);
    }
  }

 private:
  Position window_;
  int kv_heads_;
  attnlab::CausalMask visible_;
  std::vector<int> outside_;
};

class Window final : public attnlab::CachePolicy {
 public:
  Window(const WindowOptions& options, const attnlab::CreateContext&) : options_(options) {}
  static attnlab::Traits traits(const WindowOptions&) {
    return {.provides = {Feature::token_eviction}, .needs = {Feature::kv_rows}};
  }
  std::unique_ptr<attnlab::LayerCache> create(const attnlab::LayerCacheContext& context) const override {
    return attnlab::rows_cache(context, std::make_unique<Newest>(options_.window, context.shape.kv_heads));
  }

 private:
  WindowOptions options_;
};

constexpr attnlab::Component<attnlab::CachePolicy> kCache[] = {
    attnlab::component<attnlab::CachePolicy, Window, WindowOptions>(
        {.id = "window", .summary = "Keeps the newest tokens.", .reference = "arXiv:2004.05150"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "window", .version = "1.0", .cache = kCache);
