// TOVA: the rows to which the last query paid the most attention stay. Oren et al. 2024 (Transformers are Multi-State
// RNNs). One decision for all kv heads, by the average over all query heads.
// Not here: protection of the newest token, as in some implementations; `protect: {recent: 1}` does it.
#include <attnlab/observed_window.h>
#include <attnlab/plugin.h>

namespace {

using attnlab::BestRowsOptions;
using attnlab::Feature;
using attnlab::Protect;

class LastQuery final : public attnlab::EvictionRule {
 public:
  LastQuery(attnlab::PhaseRows keep, Protect protect, const attnlab::LayerCacheContext& context)
      : keep_(std::move(keep)),
        protect_(protect),
        kv_heads_(context.shape.kv_heads),
        mass_(context.sequences, kv_heads_) {}

  int row_limit(int sequence, int length) const noexcept override { return keep_.limit(sequence, length); }

  attnlab::MassSink* mass_sink() noexcept override { return &mass_; }

  void appended(const attnlab::ChunkView& chunk, attnlab::TensorView<const float, 3>,
                attnlab::TensorView<const float, 3>) override {
    for (int sequence = 0; sequence < chunk.sequences(); ++sequence) {
      const bool decides = keep_.acts_in_decode() || chunk.phases[sequence] != attnlab::Phase::decode;
      mass_.count_from(sequence, decides ? chunk.lengths[sequence] - 1 : attnlab::kNoQuery);
      mass_.grow(chunk, sequence, keep_.most(sequence));
    }
  }

  void check(const attnlab::ChunkView& chunk, int sequence, attnlab::KvRows& rows) override {
    const std::optional<int> keep = keep_.at(chunk, sequence);
    if (!keep) {  // the next query alone decides
      for (int head = 0; head < kv_heads_; ++head) std::ranges::fill(mass_.at(sequence, head), 0);
      return;
    }
    std::vector<double> total(mass_.at(sequence, 0).size());  // the average, times the number of query heads
    for (int head = 0; head < kv_heads_; ++head)
      for (std::size_t row = 0; row < total.size(); ++row) total[row] += mass_.at(sequence, head)[row];
    const std::vector<int> dropped = attnlab::rows_to_drop(total, rows.positions(sequence, 0), *keep, protect_);
    for (int head = 0; head < kv_heads_; ++head) {
      rows.drop(sequence, head, dropped);
      attnlab::drop_entries(mass_.at(sequence, head), dropped);
      std::ranges::fill(mass_.at(sequence, head), 0);
    }
  }

  void clear(int sequence) override { mass_.clear(sequence); }
  std::size_t bytes() const noexcept override { return mass_.bytes(); }
  void save(int sequence, attnlab::StateWriter& to) const override { mass_.save(sequence, to); }
  void restore(int sequence, attnlab::StateReader& from) override { mass_.restore(sequence, from); }

 private:
  attnlab::PhaseRows keep_;
  Protect protect_;
  int kv_heads_;
  attnlab::RowMass mass_;
};

class Tova final : public attnlab::CachePolicy {
 public:
  Tova(const BestRowsOptions& options, const attnlab::CreateContext&) : options_(options) {}
  static attnlab::Traits traits(const BestRowsOptions& options) {
    return options.in_phases({.provides = {Feature::token_eviction, Feature::mass_based},
                              .needs = {Feature::kv_rows, Feature::attention_mass}});
  }
  std::unique_ptr<attnlab::LayerCache> create(const attnlab::LayerCacheContext& context) const override {
    return attnlab::rows_cache(context, std::make_unique<LastQuery>(options_.rows(context, attnlab::kScoreBytes),
                                                                    options_.protect(), context));
  }

 private:
  BestRowsOptions options_;
};

constexpr attnlab::Component<attnlab::CachePolicy> kCache[] = {
    attnlab::component<attnlab::CachePolicy, Tova, BestRowsOptions>(
        {.id = "tova",
         .summary = "Keeps the rows to which the last query paid the most attention.",
         .reference = "arXiv:2401.06104"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "tova", .version = "1.0", .cache = kCache);
