// AdaKV: SnapKV's scores, but the kv heads of a layer share one budget: every head keeps a few of its best rows, and
// the rest of the budget goes to the highest scores of all heads together, so heads differ in length. Feng et al. 2024.
// Raw scores are compared across heads, and the safeguard is a share of the budget beside the window; the authors' code
// blends the two capacities instead.
#include <cmath>
#include <limits>

#include <attnlab/observed_window.h>
#include <attnlab/plugin.h>

namespace {

using attnlab::Feature;
using attnlab::Position;

struct AdaKvOptions : attnlab::ObservedWindowOptions {
  double safeguard = 0.2;

  static constexpr auto fields() {
    return std::tuple_cat(
        std::tuple{attnlab::field("safeguard", &AdaKvOptions::safeguard,
                                  {.min = 0,
                                   .max = 1,
                                   .doc = "Share of the budget beside the window, rounded down, that every kv head "
                                          "keeps for its own best rows, protected ones first."})},
        attnlab::ObservedWindowOptions::fields());
  }
};

// One row before the window, as the heads compare it.
struct Candidate {
  double score;
  Position position;
  int head;
  int row;
};

bool better(const Candidate& a, const Candidate& b) {
  if (a.score != b.score) return a.score > b.score;
  if (a.position != b.position) return a.position > b.position;
  return a.head < b.head;
}

// The `count` best to the front.
void best_first(std::vector<Candidate>& candidates, std::size_t count) {
  if (count < candidates.size()) std::ranges::nth_element(candidates, candidates.begin() + count, better);
}

class SharedBudget final : public attnlab::EvictionRule {
 public:
  SharedBudget(const AdaKvOptions& options, const attnlab::LayerCacheContext& context)
      : older_(options.rows(context, ragged_bytes(context))),
        safeguard_(options.safeguard),
        window_(options.window),
        protect_(options.protected_rows()),
        kv_heads_(context.shape.kv_heads),
        observed_(options, context) {
    for (int& rows : older_) rows -= options.window;
  }

  int row_limit(int sequence, int length) const noexcept override {
    return std::min(length, older_[sequence] + window_);
  }

  attnlab::MassSink* mass_sink() noexcept override { return observed_.sink(); }
  void appended(const attnlab::ChunkView& chunk, attnlab::TensorView<const float, 3>,
                attnlab::TensorView<const float, 3>) override {
    observed_.appended(chunk);
  }

  void check(const attnlab::ChunkView& chunk, int sequence, attnlab::KvRows& rows) override {
    if (chunk.phases[sequence] != attnlab::Phase::last_prefill) return;
    std::int64_t all = 0;
    for (int head = 0; head < kv_heads_; ++head) all += rows.rows(sequence, head);
    if (all > std::int64_t{kv_heads_} * (older_[sequence] + window_)) evict(sequence, rows);
    for (int head = 0; head < kv_heads_; ++head) observed_.forget(sequence, head, rows.rows(sequence, head));
  }

  void clear(int sequence) override { observed_.clear(sequence); }
  std::size_t bytes() const noexcept override { return observed_.bytes(); }
  void save(int sequence, attnlab::StateWriter& to) const override { observed_.save(sequence, to); }
  void restore(int sequence, attnlab::StateReader& from) override { observed_.restore(sequence, from); }

 private:
  // Heads have different numbers of rows, and the last page of each may be nearly empty: the bytes of one more page are
  // counted for each head.
  static attnlab::SequenceBytes ragged_bytes(const attnlab::LayerCacheContext& context) {
    return [lists = static_cast<double>(context.cache_count()) * context.shape.kv_heads,
            list_bytes = context.list_bytes](int rows) { return lists * (list_bytes(rows + 1) + list_bytes(1)); };
  }
  // Of the rows beside the window, those that every head has for itself. A product that is whole but for its rounding
  // counts as whole.
  int own_rows(int sequence) const { return static_cast<int>(std::floor(safeguard_ * older_[sequence] + 1e-9)); }

  void evict(int sequence, attnlab::KvRows& rows) {
    std::vector<Candidate> others;  // of all heads, without those that their own head keeps
    std::size_t places = 0;
    for (int head = 0; head < kv_heads_; ++head) {
      std::vector<Candidate> own = candidates(sequence, head, rows.positions(sequence, head));
      const std::size_t kept = std::min<std::size_t>(own_rows(sequence), own.size());
      best_first(own, kept);
      others.insert(others.end(), own.begin() + kept, own.end());
      places += older_[sequence] - kept;
    }
    best_first(others, places);
    std::vector<std::vector<int>> dropped(kv_heads_);
    for (std::size_t i = places; i < others.size(); ++i) dropped[others[i].head].push_back(others[i].row);
    for (int head = 0; head < kv_heads_; ++head) {
      std::ranges::sort(dropped[head]);
      rows.drop(sequence, head, dropped[head]);
    }
  }

  // The rows before the window; protected ones are better than any other.
  std::vector<Candidate> candidates(int sequence, int head, std::span<const Position> positions) {
    const std::vector<double> scores = observed_.scores(sequence, head, positions);
    std::vector<Position> newest(positions.begin(), positions.end());
    std::ranges::sort(newest, std::greater());
    const auto from = [&](int count) { return newest[std::min<std::size_t>(count, newest.size()) - 1]; };
    const Position window = from(window_);
    const Position recent = from(protect_.recent);
    std::vector<Candidate> all;
    for (std::size_t row = 0; row < positions.size(); ++row) {
      const Position position = positions[row];
      if (position >= window) continue;
      const bool is_protected = position < protect_.first || position >= recent;
      const double score = is_protected ? std::numeric_limits<double>::infinity() : scores[row];
      all.push_back({score, position, head, static_cast<int>(row)});
    }
    return all;
  }

  std::vector<int> older_;  // [sequences] rows of a kv head beside the window, on average
  double safeguard_;
  int window_;
  attnlab::Protect protect_;
  int kv_heads_;
  attnlab::ObservedWindow observed_;
};

class AdaKv final : public attnlab::CachePolicy {
 public:
  AdaKv(const AdaKvOptions& options, const attnlab::CreateContext&) : options_(options) {}
  static attnlab::Traits traits(const AdaKvOptions&) {
    return {.provides = {Feature::token_eviction, Feature::per_head_eviction, Feature::mass_based,
                         Feature::evicts_after_prompt_only},
            .needs = {Feature::kv_rows, Feature::attention_mass}};
  }
  std::unique_ptr<attnlab::LayerCache> create(const attnlab::LayerCacheContext& context) const override {
    return attnlab::rows_cache(context, std::make_unique<SharedBudget>(options_, context));
  }

 private:
  AdaKvOptions options_;
};

constexpr attnlab::Component<attnlab::CachePolicy> kCache[] = {
    attnlab::component<attnlab::CachePolicy, AdaKv, AdaKvOptions>(
        {.id = "adakv",
         .summary = "Keeps what SnapKV keeps, with one budget for the kv heads of a layer.",
         .reference = "arXiv:2407.11550"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "adakv", .version = "1.0", .cache = kCache);
