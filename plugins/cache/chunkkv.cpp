// ChunkKV: at the end of the prompt, whole chunks of neighbouring rows stay, those that its newest queries look at
// most, and the newest rows; the same rows in every kv head. Liu et al. 2025. Scores are SnapKV's (observed_window.h),
// summed over kv heads. Decode appends and never evicts. Otherwise than the paper's listing: so many chunks stay that
// the window is within the budget.
#include <numeric>
#include <string>

#include <attnlab/error.h>
#include <attnlab/observed_window.h>
#include <attnlab/plugin.h>

namespace {

using attnlab::Feature;
using attnlab::Position;

struct ChunkKvOptions : attnlab::ObservedWindowOptions {
  std::int32_t chunk = 8;

  static constexpr auto fields() {
    return std::tuple_cat(
        attnlab::ObservedWindowOptions::fields(),
        std::tuple{attnlab::field("chunk", &ChunkKvOptions::chunk,
                                  {.min = 1, .unit = "tokens", .doc = "Rows that stay or go together."})});
  }
};

class BestChunks final : public attnlab::EvictionRule {
 public:
  BestChunks(const ChunkKvOptions& options, std::vector<int> budget, const attnlab::LayerCacheContext& context)
      : options_(options), budget_(std::move(budget)), kv_heads_(context.shape.kv_heads), observed_(options, context) {}

  int row_limit(int sequence, int length) const noexcept override {
    return length > budget_[sequence] ? options_.window + kept_chunks(sequence) * options_.chunk : length;
  }
  attnlab::MassSink* mass_sink() noexcept override { return observed_.sink(); }
  void appended(const attnlab::ChunkView& chunk, attnlab::TensorView<const float, 3>,
                attnlab::TensorView<const float, 3>) override {
    observed_.appended(chunk);
  }

  void check(const attnlab::ChunkView& chunk, int sequence, attnlab::KvRows& rows) override {
    if (chunk.phases[sequence] != attnlab::Phase::last_prefill) return;
    if (rows.rows(sequence, 0) > budget_[sequence]) {
      const std::vector<int> gone = rows_that_go(sequence, rows);
      for (int head = 0; head < kv_heads_; ++head) rows.drop(sequence, head, gone);
    }
    for (int head = 0; head < kv_heads_; ++head) observed_.forget(sequence, head, rows.rows(sequence, head));
  }

  void clear(int sequence) override { observed_.clear(sequence); }
  void save(int sequence, attnlab::StateWriter& to) const override { observed_.save(sequence, to); }
  void restore(int sequence, attnlab::StateReader& from) override { observed_.restore(sequence, from); }
  std::size_t bytes() const noexcept override { return observed_.bytes(); }

 private:
  int kept_chunks(int sequence) const noexcept { return (budget_[sequence] - options_.window) / options_.chunk; }

  // Ascending; rows of a prompt stand in the order of their positions, and none was dropped before.
  std::vector<int> rows_that_go(int sequence, const attnlab::KvRows& rows) {
    const int count = rows.rows(sequence, 0), older = count - options_.window;
    const int chunks = (older + options_.chunk - 1) / options_.chunk;
    std::vector<double> scores(static_cast<std::size_t>(chunks));
    for (int head = 0; head < kv_heads_; ++head) {
      const std::vector<double> of_head = observed_.scores(sequence, head, rows.positions(sequence, head));
      for (int row = 0; row < older; ++row) scores[row / options_.chunk] += of_head[row];
    }
    for (int part = 0; part < chunks; ++part)
      scores[part] /= std::min(options_.chunk, older - part * options_.chunk);  // the last may be shorter
    const attnlab::Protect protect = options_.protected_rows();
    const auto is_certain = [&](int part) {
      return part * options_.chunk < protect.first ||
             std::min((part + 1) * options_.chunk, older) > count - protect.recent;
    };
    std::vector<int> order(scores.size());
    std::iota(order.begin(), order.end(), 0);
    std::ranges::sort(order, [&](int a, int b) {
      if (is_certain(a) != is_certain(b)) return is_certain(a);
      return scores[a] != scores[b] ? scores[a] > scores[b] : a > b;
    });
    const int kept = std::min(kept_chunks(sequence), chunks);
    if (kept < chunks && is_certain(order[kept]))
      throw attnlab::Error("",
                           "protected rows are in more chunks of " + std::to_string(options_.chunk) + " than the " +
                               std::to_string(kept) + " that stay",
                           "raise the budget or protect fewer rows");
    std::vector<char> goes(scores.size());
    for (int i = kept; i < chunks; ++i) goes[order[i]] = 1;
    std::vector<int> gone;
    for (int row = 0; row < older; ++row)
      if (goes[row / options_.chunk] != 0) gone.push_back(row);
    return gone;
  }

  ChunkKvOptions options_;
  std::vector<int> budget_;  // [sequences]
  int kv_heads_;
  attnlab::ObservedWindow observed_;
};

class ChunkKv final : public attnlab::CachePolicy {
 public:
  ChunkKv(const ChunkKvOptions& options, const attnlab::CreateContext&) : options_(options) {}
  static attnlab::Traits traits(const ChunkKvOptions&) {
    return {.provides = {Feature::token_eviction, Feature::mass_based, Feature::evicts_after_prompt_only},
            .needs = {Feature::kv_rows, Feature::attention_mass}};
  }
  std::unique_ptr<attnlab::LayerCache> create(const attnlab::LayerCacheContext& context) const override {
    return attnlab::rows_cache(
        context, std::make_unique<BestChunks>(options_, options_.rows(context, context.sequence_bytes()), context));
  }

 private:
  ChunkKvOptions options_;
};

constexpr attnlab::Component<attnlab::CachePolicy> kCache[] = {
    attnlab::component<attnlab::CachePolicy, ChunkKv, ChunkKvOptions>(
        {.id = "chunkkv",
         .summary = "Keeps, once after the prompt, the chunks of rows that its newest queries look at.",
         .reference = "arXiv:2502.00299"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "chunkkv", .version = "1.0", .cache = kCache);
