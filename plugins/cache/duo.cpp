// DuoAttention: some kv heads stream: they see and keep only the first `sinks` tokens and the newest `window`; the
// others see and keep everything. Xiao et al. 2024. The list of streaming heads is an option. Queries of a prompt see
// the same rows as queries of decode steps would, however the prompt is cut. Not here: how streaming heads are found,
// and renumbered positions (see sink).
#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include <attnlab/error.h>
#include <attnlab/eviction.h>
#include <attnlab/plugin.h>

namespace {

using attnlab::Feature;
using attnlab::Position;

struct DuoOptions {
  std::vector<std::int64_t> streaming;
  std::int32_t sinks = 64;
  std::int32_t window = 256;

  static constexpr auto fields() {
    using D = DuoOptions;
    return std::tuple{
        attnlab::field("streaming", &D::streaming, {.min = 0, .doc = "Kv heads that stream, from 0; []: none."}),
        attnlab::field("sinks", &D::sinks,
                       {.min = 0, .unit = "tokens", .doc = "First tokens that streaming heads keep."}),
        attnlab::field(
            "window", &D::window,
            {.min = 1, .unit = "tokens", .doc = "Newest tokens that streaming heads keep, the query's own included."})};
  }
  static void check(const DuoOptions& options, attnlab::Problems& problems) {
    std::vector<std::int64_t> heads = options.streaming;
    std::ranges::sort(heads);
    if (const auto twice = std::ranges::adjacent_find(heads); twice != heads.end())
      problems.add("streaming", "kv head " + std::to_string(*twice) + " is there twice");
  }
};

// What streaming heads see, and which of their rows are dropped.
class Streaming final : public attnlab::EvictionRule, public attnlab::MaskRule {
 public:
  Streaming(const DuoOptions& options, int kv_heads)
      : streams_(kv_heads), sinks_(options.sinks), window_(options.window) {
    for (const std::int64_t head : options.streaming) {
      if (head >= kv_heads)
        throw attnlab::Error("", "duo: there is no kv head " + std::to_string(head) + " to stream",
                             "the layer has the kv heads 0 to " + std::to_string(kv_heads - 1));
      streams_[static_cast<std::size_t>(head)] = true;
    }
  }

  // A head that does not stream has no bound, and then there is none to the mean of all heads.
  int row_limit(int, int length) const noexcept override {
    const bool all_stream = std::ranges::count(streams_, false) == 0;
    return all_stream ? static_cast<int>(std::min<std::int64_t>(length, std::int64_t{sinks_} + window_)) : length;
  }
  const attnlab::MaskRule* visibility(int) const noexcept override { return this; }
  Cover cover(const attnlab::MaskPlace& place) const noexcept override {
    if (!streams_[place.kv_head] || place.keys.last < sinks_ || place.keys.first > place.queries.last - window_)
      return Cover::full;
    return place.keys.first >= sinks_ && place.keys.last <= place.queries.first - window_ ? Cover::none
                                                                                          : Cover::partial;
  }
  // Called for streaming heads only: `cover` answers for the others.
  void mask(attnlab::ScoreTile& tile) const noexcept override {
    for (std::int64_t member = 0; member < tile.scores.extent(0); ++member)
      for (std::int64_t query = 0; query < tile.scores.extent(1); ++query)
        for (std::size_t row = 0; row < tile.key_positions.size(); ++row)
          if (!is_seen(tile.key_positions[row], tile.query_positions[query]))
            tile.scores(member, query, row) = -std::numeric_limits<float>::infinity();
  }

  void check(const attnlab::ChunkView& chunk, int sequence, attnlab::KvRows& rows) override {
    const Position newest = chunk.positions_of(sequence).back();
    for (int head = 0; head < static_cast<int>(streams_.size()); ++head) {
      if (!streams_[head]) continue;
      const std::span<const Position> positions = rows.positions(sequence, head);
      outside_.clear();
      for (std::size_t row = 0; row < positions.size(); ++row)
        if (!is_seen(positions[row], newest)) outside_.push_back(static_cast<int>(row));
      rows.drop(sequence, head, outside_);
    }
  }

 private:
  bool is_seen(Position key, Position query) const noexcept { return key < sinks_ || key > query - window_; }

  std::vector<bool> streams_;  // [kv_heads]
  Position sinks_, window_;
  std::vector<int> outside_;
};

class Duo final : public attnlab::CachePolicy {
 public:
  Duo(const DuoOptions& options, const attnlab::CreateContext&) : options_(options) {}
  static attnlab::Traits traits(const DuoOptions& options) {
    if (options.streaming.empty()) return {};  // every row stays
    return {.provides = {Feature::token_eviction, Feature::per_head_eviction}, .needs = {Feature::kv_rows}};
  }
  std::unique_ptr<attnlab::LayerCache> create(const attnlab::LayerCacheContext& context) const override {
    return attnlab::rows_cache(context, std::make_unique<Streaming>(options_, context.shape.kv_heads));
  }

 private:
  DuoOptions options_;
};

constexpr attnlab::Component<attnlab::CachePolicy> kCache[] = {
    attnlab::component<attnlab::CachePolicy, Duo, DuoOptions>(
        {.id = "duo",
         .summary = "Some kv heads keep the first tokens and the newest, the others everything.",
         .reference = "arXiv:2410.10819"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "duo", .version = "1.0", .cache = kCache);
