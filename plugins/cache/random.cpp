// The control arm: rows are evicted uniformly at random. The gain of a scoring policy is its distance from this one.
// A sequence's draws depend on the seed, the layer and the kv head only, not on its place in a batch or on its chunks.
#include <attnlab/observed_window.h>
#include <attnlab/plugin.h>
#include <attnlab/random.h>

namespace {

using attnlab::Feature;
using attnlab::Protect;
using attnlab::SplitMix64;

struct RandomOptions : attnlab::ProtectOptions {
  attnlab::Budget budget = 256;
  std::int64_t seed = 0;

  static constexpr auto fields() {
    using R = RandomOptions;
    return std::tuple_cat(
        std::tuple{attnlab::field("budget", &R::budget, {.doc = "Rows that stay."}),
                   attnlab::field("seed", &R::seed, {.min = 0, .doc = "Seed of the draws; 0: the experiment's."})},
        attnlab::ProtectOptions::fields());
  }
  static void check(const RandomOptions& options, attnlab::Problems& problems) {
    attnlab::check_protected(options.budget, options.protect(), problems);
  }
};

class AtRandom final : public attnlab::EvictionRule {
 public:
  AtRandom(std::vector<int> keep, Protect protect, std::uint64_t seed, const attnlab::LayerCacheContext& context)
      : keep_(std::move(keep)), protect_(protect), kv_heads_(context.shape.kv_heads) {
    SplitMix64 of_layer(SplitMix64(seed).next() + context.layer);
    for (int head = 0; head < kv_heads_; ++head) fresh_.emplace_back(of_layer.next());
    for (int sequence = 0; sequence < context.sequences; ++sequence)
      generators_.insert(generators_.end(), fresh_.begin(), fresh_.end());
  }

  int row_limit(int sequence, int length) const noexcept override { return std::min(length, keep_[sequence]); }

  // Random scores: every set of rows that are not protected is equally likely to stay.
  void check(const attnlab::ChunkView& chunk, int sequence, attnlab::KvRows& rows) override {
    if (!chunk.ends_prompt_or_step(sequence)) return;
    for (int head = 0; head < kv_heads_; ++head) {
      const int count = rows.rows(sequence, head);
      if (count <= keep_[sequence]) continue;
      std::vector<double> scores(count);
      for (double& score : scores) score = generators_[sequence * kv_heads_ + head].uniform();
      rows.drop(sequence, head,
                attnlab::rows_to_drop(scores, rows.positions(sequence, head), keep_[sequence], protect_));
    }
  }

  void clear(int sequence) override { std::ranges::copy(fresh_, generators_.begin() + sequence * kv_heads_); }
  void save(int sequence, attnlab::StateWriter& to) const override {
    to.put_bytes(std::as_bytes(std::span(generators_).subspan(sequence * kv_heads_, kv_heads_)));
  }
  void restore(int sequence, attnlab::StateReader& from) override {
    const std::span<SplitMix64> of_sequence = std::span(generators_).subspan(sequence * kv_heads_, kv_heads_);
    from.get_bytes(std::as_writable_bytes(of_sequence));
  }
  std::size_t bytes() const noexcept override { return (fresh_.size() + generators_.size()) * sizeof(SplitMix64); }

 private:
  std::vector<int> keep_;  // [sequences]
  Protect protect_;
  int kv_heads_;
  std::vector<SplitMix64> fresh_;       // [kv_heads] as a sequence starts
  std::vector<SplitMix64> generators_;  // [sequences x kv_heads]
};

class Random final : public attnlab::CachePolicy {
 public:
  Random(const RandomOptions& options, const attnlab::CreateContext&) : options_(options) {}
  static attnlab::Traits traits(const RandomOptions&) {
    return {.provides = {Feature::token_eviction, Feature::per_head_eviction}, .needs = {Feature::kv_rows}};
  }
  std::unique_ptr<attnlab::LayerCache> create(const attnlab::LayerCacheContext& context) const override {
    const Protect protect = options_.protect();
    std::vector<int> keep = attnlab::require_protected(
        options_.budget.rows(context, bytes_of(context), protect.first + protect.recent), protect);
    const std::uint64_t seed = options_.seed > 0 ? static_cast<std::uint64_t>(options_.seed) : context.seed;
    return attnlab::rows_cache(context, std::make_unique<AtRandom>(std::move(keep), protect, seed, context));
  }

 private:
  // The generators of a sequence, and those that it starts with.
  static attnlab::SequenceBytes bytes_of(const attnlab::LayerCacheContext& context) {
    const double generators = 2.0 * sizeof(SplitMix64) * context.cache_count() * context.shape.kv_heads;
    return [of_rows = context.sequence_bytes(), generators](int rows) { return of_rows(rows) + generators; };
  }

  RandomOptions options_;
};

constexpr attnlab::Component<attnlab::CachePolicy> kCache[] = {
    attnlab::component<attnlab::CachePolicy, Random, RandomOptions>(
        {.id = "random",
         .summary = "Evicts rows uniformly at random: the control arm.",
         .reference = "a control, not a published method"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "random", .version = "1.0", .cache = kCache);
