// Attention sinks: the first `sinks` tokens of a sequence and the newest `window` stay. Xiao et al. 2023
// (StreamingLLM). `positions: renumbered`, as published, counts positions over the rows that are kept. Keys inside the
// window are at their true distances anyway; only the sinks move: a query counts as at most sinks + window - 1 against
// them. So the sinks are tiles of their own with a query cap, and keys may be stored rotated at their own positions.
#include <limits>
#include <vector>

#include <attnlab/plugin.h>

namespace {

using attnlab::Position;

enum class Numbering : std::uint8_t { renumbered, original };

}  // namespace

template <>
inline constexpr std::array<attnlab::Choice<Numbering>, 2> attnlab::kChoices<Numbering>{
    {{"renumbered", Numbering::renumbered}, {"original", Numbering::original}}};

namespace {

struct SinkOptions {
  std::int32_t sinks = 4;
  attnlab::Budget window = 252;
  Numbering positions = Numbering::renumbered;

  static constexpr auto fields() {
    using S = SinkOptions;
    return std::tuple{
        attnlab::field("sinks", &S::sinks,
                       {.min = 0, .unit = "tokens", .doc = "First tokens of a sequence that stay."}),
        attnlab::field("window", &S::window,
                       {.min = 1,
                        .doc = "Newest tokens that stay, the query's own included; in bytes: what they and the sinks "
                               "take together."}),
        attnlab::field(
            "positions", &S::positions,
            {.doc = "Whether positions count the rows that are kept (as published) or stay the tokens' own."})};
  }
  static void check(const SinkOptions& options, attnlab::Problems& problems) {
    if (options.window.unit == attnlab::Budget::Unit::tokens && options.window.amount < 1)
      problems.add("window", options.window.text() + " is too few rows; it must be at least 1");
  }
};

// Key j is seen by query i where j is a sink or j > i - window.
class SinkVisibility final : public attnlab::MaskRule {
 public:
  SinkVisibility(Position sinks, Position window) : sinks_(sinks), window_(window) {}

  Cover cover(const attnlab::MaskPlace& place) const noexcept override {
    const attnlab::PositionRange queries = place.queries;
    const attnlab::PositionRange keys = place.keys;
    if (keys.last < sinks_ || keys.first > queries.last - window_) return Cover::full;
    return keys.first >= sinks_ && keys.last <= queries.first - window_ ? Cover::none : Cover::partial;
  }
  void mask(attnlab::ScoreTile& tile) const noexcept override {
    for (std::int64_t member = 0; member < tile.scores.extent(0); ++member)
      for (std::int64_t query = 0; query < tile.scores.extent(1); ++query) {
        float* scores = &tile.scores(member, query, 0);
        const Position oldest = tile.query_positions[query] - window_;
        for (std::size_t row = 0; row < tile.key_positions.size(); ++row) {
          const Position key = tile.key_positions[row];
          scores[row] = key < sinks_ || key > oldest ? scores[row] : -std::numeric_limits<float>::infinity();
        }
      }
  }

 private:
  Position sinks_;
  Position window_;
};

class SinkCache final : public attnlab::LayerCache {
 public:
  SinkCache(const SinkOptions& options, const attnlab::LayerCacheContext& context)
      : options_(options),
        shape_(context.shape),
        key_form_(context.key_form),
        windows_(options.window.rows(context, bytes_of_both(options.sinks, context))),
        sinks_(context.make_rows()),
        recent_(context.make_rows()) {
    for (const int window : windows_) visible_.emplace_back(options.sinks, window);
  }

  attnlab::KvShape shape() const noexcept override { return shape_; }
  attnlab::KeyForm key_form() const noexcept override { return key_form_; }
  const attnlab::MaskRule* visibility(int sequence) const noexcept override { return &visible_[sequence]; }
  int row_limit(int sequence, int length) const noexcept override {
    return static_cast<int>(std::min<std::int64_t>(length, std::int64_t{options_.sinks} + windows_[sequence]));
  }

  void append(const attnlab::ChunkView& chunk, const attnlab::NewRows& rows) override {
    for (int sequence = 0; sequence < chunk.sequences(); ++sequence) {
      const std::span<const Position> positions = chunk.positions_of(sequence);
      if (positions.empty()) continue;
      const int first = chunk.first(sequence);
      const int tokens = chunk.tokens_of(sequence);
      const int of_sinks = std::clamp(options_.sinks - positions.front(), 0, tokens);
      sinks_->append(sequence, positions.first(of_sinks), rows.slice(first, of_sinks));
      recent_->append(sequence, positions.subspan(of_sinks), rows.slice(first + of_sinks, tokens - of_sinks));
    }
  }

  void end_chunk(const attnlab::ChunkView& chunk) override {
    for (int sequence = 0; sequence < chunk.sequences(); ++sequence) {
      if (chunk.tokens_of(sequence) == 0) continue;
      const Position oldest = chunk.positions_of(sequence).back() - windows_[sequence] + 1;
      for (int head = 0; head < shape_.kv_heads; ++head) {
        const std::span<const Position> positions = recent_->positions(sequence, head);
        outside_.clear();
        for (std::size_t row = 0; row < positions.size(); ++row)
          if (positions[row] < oldest) outside_.push_back(static_cast<int>(row));
        recent_->drop(sequence, head, outside_);
      }
    }
  }

  void clear(int sequence) override {
    sinks_->clear(sequence);
    recent_->clear(sequence);
  }
  int rows(int sequence, int kv_head) const noexcept override {
    return sinks_->rows(sequence, kv_head) + recent_->rows(sequence, kv_head);
  }
  int tiles(int sequence, int kv_head) const noexcept override {
    return sinks_->tiles(sequence, kv_head) + recent_->tiles(sequence, kv_head);
  }
  attnlab::KvTile tile(int sequence, int kv_head, int index, attnlab::TileScratch& scratch) const noexcept override {
    const int of_sinks = sinks_->tiles(sequence, kv_head);
    if (index >= of_sinks) return recent_->tile(sequence, kv_head, index - of_sinks, scratch);
    attnlab::KvTile tile = sinks_->tile(sequence, kv_head, index, scratch);
    if (options_.positions == Numbering::renumbered) tile.query_cap = options_.sinks + windows_[sequence] - 1;
    return tile;
  }
  std::size_t bytes() const noexcept override { return sinks_->bytes() + recent_->bytes(); }
  void save(int sequence, attnlab::StateWriter& to) const override {
    sinks_->save(sequence, to);
    recent_->save(sequence, to);
  }
  void restore(int sequence, attnlab::StateReader& from) override {
    sinks_->restore(sequence, from);
    recent_->restore(sequence, from);
  }
  void truncate(int sequence, Position length) override {
    recent_->truncate(sequence, length);  // refuses where rows have left the window; the sinks always can
    sinks_->truncate(sequence, length);
  }
  void fork(int from, int to) override {
    sinks_->fork(from, to);
    recent_->fork(from, to);
  }

 private:
  static attnlab::SequenceBytes bytes_of_both(int sinks, const attnlab::LayerCacheContext& context) {
    return [of_rows = context.sequence_bytes(), sinks](int window) {
      return of_rows(window) + (sinks > 0 ? of_rows(sinks - 1) : 0);  // a step adds no row to the sinks
    };
  }

  SinkOptions options_;
  attnlab::KvShape shape_;
  attnlab::KeyForm key_form_;
  std::vector<int> windows_;             // [sequences]
  std::vector<SinkVisibility> visible_;  // [sequences]
  std::unique_ptr<attnlab::KvRows> sinks_;
  std::unique_ptr<attnlab::KvRows> recent_;
  std::vector<int> outside_;  // rows that left the window
};

class Sink final : public attnlab::CachePolicy {
 public:
  Sink(const SinkOptions& options, const attnlab::CreateContext&) : options_(options) {}
  static attnlab::Traits traits(const SinkOptions& options) {
    attnlab::Traits traits{.provides = {attnlab::Feature::token_eviction}, .needs = {attnlab::Feature::kv_rows}};
    if (options.positions == Numbering::renumbered) {
      traits.provides.add(attnlab::Feature::renumbered_positions);
      traits.excludes.add(attnlab::Feature::embedded_positions);
    }
    return traits;
  }
  std::unique_ptr<attnlab::LayerCache> create(const attnlab::LayerCacheContext& context) const override {
    return std::make_unique<SinkCache>(options_, context);
  }

 private:
  SinkOptions options_;
};

constexpr attnlab::Component<attnlab::CachePolicy> kCache[] = {
    attnlab::component<attnlab::CachePolicy, Sink, SinkOptions>(
        {.id = "sink",
         .summary = "Keeps the first tokens and the newest ones (StreamingLLM).",
         .reference = "arXiv:2309.17453"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "sink", .version = "1.0", .cache = kCache);
