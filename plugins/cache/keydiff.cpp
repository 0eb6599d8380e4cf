// KeyDiff: the rows stay whose keys differ most from the others: lowest cosine with the mean of the normalised keys in
// the cache. Park et al. 2025. Keys as they are stored, rotated where the store is.
// Not as in the paper's block-wise prompt processing: the prompt is cut once, at its end.
#include <cmath>

#include <attnlab/observed_window.h>
#include <attnlab/plugin.h>

namespace {

using attnlab::BestRowsOptions;
using attnlab::Feature;
using attnlab::Protect;

class Distinct final : public attnlab::EvictionRule {
 public:
  Distinct(attnlab::PhaseRows keep, Protect protect, const attnlab::LayerCacheContext& context)
      : keep_(std::move(keep)), protect_(protect), shape_(context.shape) {}

  int row_limit(int sequence, int length) const noexcept override { return keep_.limit(sequence, length); }

  void check(const attnlab::ChunkView& chunk, int sequence, attnlab::KvRows& rows) override {
    const std::optional<int> keep = keep_.at(chunk, sequence);
    if (!keep) return;
    for (int head = 0; head < shape_.kv_heads; ++head) {
      if (rows.rows(sequence, head) <= *keep) continue;
      const std::vector<double> scores = difference(normalised_keys(rows, sequence, head));
      rows.drop(sequence, head, attnlab::rows_to_drop(scores, rows.positions(sequence, head), *keep, protect_));
    }
  }

 private:
  // [rows, key_dim]; zeros for a key of zeros.
  std::vector<double> normalised_keys(const attnlab::KvRows& rows, int sequence, int head) const {
    const int count = rows.rows(sequence, head);
    std::vector<float> held(static_cast<std::size_t>(count) * shape_.key_dim);
    const attnlab::TensorView<float, 2> of_row(held.data(), {count, shape_.key_dim});
    rows.read(sequence, head, 0, of_row, {});
    std::vector<double> keys;
    keys.reserve(held.size());
    for (int row = 0; row < count; ++row) {
      double square = 0;
      for (const float x : of_row.row(row)) square += double{x} * x;
      const double factor = square > 0 ? 1 / std::sqrt(square) : 0;
      for (const float x : of_row.row(row)) keys.push_back(factor * x);
    }
    return keys;
  }

  // Minus the cosine with the mean, times the mean's length, which all rows share. keys [rows, key_dim].
  std::vector<double> difference(const std::vector<double>& keys) const {
    const std::size_t width = shape_.key_dim;
    std::vector<double> anchor(width);
    for (std::size_t i = 0; i < keys.size(); ++i) anchor[i % width] += keys[i];
    std::vector<double> scores(keys.size() / width);
    for (std::size_t i = 0; i < keys.size(); ++i) scores[i / width] -= keys[i] * anchor[i % width];
    return scores;
  }

  attnlab::PhaseRows keep_;
  Protect protect_;
  attnlab::KvShape shape_;
};

class KeyDiff final : public attnlab::CachePolicy {
 public:
  KeyDiff(const BestRowsOptions& options, const attnlab::CreateContext&) : options_(options) {}
  static attnlab::Traits traits(const BestRowsOptions& options) {
    return options.in_phases(
        {.provides = {Feature::token_eviction, Feature::per_head_eviction}, .needs = {Feature::kv_rows}});
  }
  std::unique_ptr<attnlab::LayerCache> create(const attnlab::LayerCacheContext& context) const override {
    return attnlab::rows_cache(context,
                               std::make_unique<Distinct>(options_.rows(context), options_.protect(), context));
  }

 private:
  BestRowsOptions options_;
};

constexpr attnlab::Component<attnlab::CachePolicy> kCache[] = {
    attnlab::component<attnlab::CachePolicy, KeyDiff, BestRowsOptions>(
        {.id = "keydiff",
         .summary = "Keeps the rows whose keys are least like the others.",
         .reference = "arXiv:2504.15364"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "keydiff", .version = "1.0", .cache = kCache);
