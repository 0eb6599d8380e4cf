// The window: a query sees the newest `window` tokens, its own included, and older rows are dropped. Beltagy et al.
// 2020.
// Not here: windows of the attention that keep the rows (option `window` of gqa).
#include <attnlab/eviction.h>
#include <attnlab/plugin.h>

namespace {

using attnlab::Feature;
using attnlab::Position;

struct WindowOptions {
  attnlab::Budget window = 256;
  static constexpr auto fields() {
    return std::tuple{attnlab::field("window", &WindowOptions::window,
                                     {.min = 1, .doc = "Newest tokens that stay, the query's own included."})};
  }
  static void check(const WindowOptions& options, attnlab::Problems& problems) {
    if (options.window.unit == attnlab::Budget::Unit::tokens && options.window.amount < 1)
      problems.add("window", options.window.text() + " is too few rows; it must be at least 1");
  }
};

class Newest final : public attnlab::EvictionRule {
 public:
  Newest(std::vector<int> windows, int kv_heads) : windows_(std::move(windows)), kv_heads_(kv_heads) {
    for (const int window : windows_) visible_.emplace_back(window);
  }

  // Also for the queries of a prefill, which find more rows than the window in the cache.
  const attnlab::MaskRule* visibility(int sequence) const noexcept override { return &visible_[sequence]; }
  int row_limit(int sequence, int length) const noexcept override { return std::min(length, windows_[sequence]); }

  void check(const attnlab::ChunkView& chunk, int sequence, attnlab::KvRows& rows) override {
    const Position oldest = chunk.positions_of(sequence).back() - windows_[sequence] + 1;
    for (int head = 0; head < kv_heads_; ++head) {
      const std::span<const Position> positions = rows.positions(sequence, head);
      outside_.clear();
      for (std::size_t row = 0; row < positions.size(); ++row)
        if (positions[row] < oldest) outside_.push_back(static_cast<int>(row));
      rows.drop(sequence, head, outside_);
    }
  }

 private:
  std::vector<int> windows_;  // [sequences]
  int kv_heads_;
  std::vector<attnlab::CausalMask> visible_;  // [sequences]
  std::vector<int> outside_;
};

class Window final : public attnlab::CachePolicy {
 public:
  Window(const WindowOptions& options, const attnlab::CreateContext&) : options_(options) {}
  static attnlab::Traits traits(const WindowOptions&) {
    return {.provides = {Feature::token_eviction}, .needs = {Feature::kv_rows}};
  }
  std::unique_ptr<attnlab::LayerCache> create(const attnlab::LayerCacheContext& context) const override {
    return attnlab::rows_cache(
        context,
        std::make_unique<Newest>(options_.window.rows(context, context.sequence_bytes()), context.shape.kv_heads));
  }

 private:
  WindowOptions options_;
};

constexpr attnlab::Component<attnlab::CachePolicy> kCache[] = {
    attnlab::component<attnlab::CachePolicy, Window, WindowOptions>(
        {.id = "window", .summary = "Keeps the newest tokens.", .reference = "arXiv:2004.05150"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "window", .version = "1.0", .cache = kCache);
