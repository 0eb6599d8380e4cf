// Key norm: the rows with the smallest keys stay, as they tend to get the most attention. Devoto et al. 2024.
// The norm is taken when the key is appended: rotation does not change it, and rounding by the storage is ignored.
#include <attnlab/observed_window.h>
#include <attnlab/plugin.h>

namespace {

using attnlab::BestRowsOptions;
using attnlab::Feature;
using attnlab::Protect;

class SmallestKeys final : public attnlab::EvictionRule {
 public:
  SmallestKeys(attnlab::PhaseRows keep, Protect protect, const attnlab::LayerCacheContext& context)
      : keep_(std::move(keep)),
        protect_(protect),
        kv_heads_(context.shape.kv_heads),
        scores_(static_cast<std::size_t>(context.sequences) * kv_heads_) {}

  int row_limit(int sequence, int length) const noexcept override { return keep_.limit(sequence, length); }

  void appended(const attnlab::ChunkView& chunk, attnlab::TensorView<const float, 3> keys,
                attnlab::TensorView<const float, 3>) override {
    for (int sequence = 0; sequence < chunk.sequences(); ++sequence) {
      for (int head = 0; head < kv_heads_; ++head)
        attnlab::reserve_entries(of(sequence, head), of(sequence, head).size() + chunk.tokens_of(sequence),
                                 keep_.most(sequence));
      for (int token = chunk.first(sequence); token < chunk.first(sequence) + chunk.tokens_of(sequence); ++token)
        for (int head = 0; head < kv_heads_; ++head) {
          double square = 0;
          const attnlab::TensorView<const float, 1> key = keys[token][head];
          for (std::int64_t i = 0; i < key.extent(0); ++i) square += double{key[i]} * key[i];
          of(sequence, head).push_back(-square);
        }
    }
  }

  void check(const attnlab::ChunkView& chunk, int sequence, attnlab::KvRows& rows) override {
    const std::optional<int> keep = keep_.at(chunk, sequence);
    if (!keep) return;
    for (int head = 0; head < kv_heads_; ++head) {
      std::vector<double>& scores = of(sequence, head);
      const std::vector<int> dropped = attnlab::rows_to_drop(scores, rows.positions(sequence, head), *keep, protect_);
      rows.drop(sequence, head, dropped);
      attnlab::drop_entries(scores, dropped);
    }
  }

  void clear(int sequence) override {
    for (int head = 0; head < kv_heads_; ++head) of(sequence, head).clear();
  }
  void save(int sequence, attnlab::StateWriter& to) const override {
    for (int head = 0; head < kv_heads_; ++head) to.put_all(scores_[sequence * kv_heads_ + head]);
  }
  void restore(int sequence, attnlab::StateReader& from) override {
    for (int head = 0; head < kv_heads_; ++head) from.get_all(of(sequence, head));
  }
  std::size_t bytes() const noexcept override {
    std::size_t sum = 0;
    for (const std::vector<double>& scores : scores_) sum += scores.capacity() * sizeof(double);
    return sum;
  }

 private:
  std::vector<double>& of(int sequence, int head) { return scores_[sequence * kv_heads_ + head]; }

  attnlab::PhaseRows keep_;
  Protect protect_;
  int kv_heads_;
  std::vector<std::vector<double>> scores_;  // [sequences x kv_heads][rows]: minus the squared norm of the key
};

class Knorm final : public attnlab::CachePolicy {
 public:
  Knorm(const BestRowsOptions& options, const attnlab::CreateContext&) : options_(options) {}
  static attnlab::Traits traits(const BestRowsOptions& options) {
    return options.in_phases(
        {.provides = {Feature::token_eviction, Feature::per_head_eviction}, .needs = {Feature::kv_rows}});
  }
  std::unique_ptr<attnlab::LayerCache> create(const attnlab::LayerCacheContext& context) const override {
    return attnlab::rows_cache(context, std::make_unique<SmallestKeys>(options_.rows(context, attnlab::kScoreBytes),
                                                                       options_.protect(), context));
  }

 private:
  BestRowsOptions options_;
};

constexpr attnlab::Component<attnlab::CachePolicy> kCache[] = {
    attnlab::component<attnlab::CachePolicy, Knorm, BestRowsOptions>(
        {.id = "knorm", .summary = "Keeps the rows with the smallest keys.", .reference = "arXiv:2406.11430"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "knorm", .version = "1.0", .cache = kCache);
