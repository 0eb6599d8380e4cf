// H2O: the rows that received the most attention so far stay, and the newest. Zhang et al. 2023 (Heavy-Hitter Oracle).
// Not as in the paper: inside the prompt nothing is evicted token by token; the prompt is cut once, at its end.
#include <attnlab/observed_window.h>
#include <attnlab/plugin.h>

namespace {

using attnlab::Feature;
using attnlab::Protect;

struct H2oOptions : attnlab::ProtectOptions {
  attnlab::Budget heavy = 128;
  attnlab::Budget recent = 128;

  static constexpr auto fields() {
    using H = H2oOptions;
    return std::tuple_cat(
        std::tuple{attnlab::field("heavy", &H::heavy,
                                  {.doc = "Rows that stay for their score: the attention they received, summed and "
                                          "never decayed. Protected first tokens are of these."}),
                   attnlab::field("recent", &H::recent, {.doc = "Newest rows that stay."})},
        attnlab::ProtectOptions::fields());
  }
  static void check(const H2oOptions& options, attnlab::Problems& problems) {
    using Unit = attnlab::Budget::Unit;
    if (options.recent.unit == Unit::tokens && options.recent.amount < 1)
      problems.add("recent", options.recent.text() + " is too few rows; it must be at least 1");
    if ((options.heavy.unit == Unit::bytes) != (options.recent.unit == Unit::bytes))
      problems.add("heavy", "and recent must both be bytes, or neither: bytes hold the two together");
    if (options.heavy.unit != Unit::tokens || options.recent.unit != Unit::tokens) return;
    const int recent = static_cast<int>(options.recent.amount);
    attnlab::Budget both = options.heavy;
    both.amount += recent;
    attnlab::check_protected(both, options.protect({.recent = recent}), problems);
  }
};

class HeavyHitters final : public attnlab::EvictionRule {
 public:
  HeavyHitters(std::vector<int> keep, std::vector<Protect> protect, const attnlab::LayerCacheContext& context)
      : keep_(std::move(keep)),
        protect_(std::move(protect)),
        kv_heads_(context.shape.kv_heads),
        mass_(context.sequences, kv_heads_) {}

  attnlab::MassSink* mass_sink() noexcept override { return &mass_; }

  void appended(const attnlab::ChunkView& chunk, attnlab::TensorView<const float, 3>,
                attnlab::TensorView<const float, 3>) override {
    for (int sequence = 0; sequence < chunk.sequences(); ++sequence) {
      mass_.count_from(sequence, 0);
      mass_.grow(chunk, sequence, keep_[sequence] + 1);
    }
  }

  void check(const attnlab::ChunkView& chunk, int sequence, attnlab::KvRows& rows) override {
    if (!chunk.ends_prompt_or_step(sequence)) return;
    for (int head = 0; head < kv_heads_; ++head) {
      std::vector<double>& mass = mass_.at(sequence, head);
      const std::vector<int> dropped =
          attnlab::rows_to_drop(mass, rows.positions(sequence, head), keep_[sequence], protect_[sequence]);
      rows.drop(sequence, head, dropped);
      attnlab::drop_entries(mass, dropped);
    }
  }

  void clear(int sequence) override { mass_.clear(sequence); }
  std::size_t bytes() const noexcept override { return mass_.bytes(); }
  void save(int sequence, attnlab::StateWriter& to) const override { mass_.save(sequence, to); }
  void restore(int sequence, attnlab::StateReader& from) override { mass_.restore(sequence, from); }

 private:
  std::vector<int> keep_;         // [sequences]
  std::vector<Protect> protect_;  // [sequences]
  int kv_heads_;
  attnlab::RowMass mass_;
};

class H2o final : public attnlab::CachePolicy {
 public:
  H2o(const H2oOptions& options, const attnlab::CreateContext&) : options_(options) {}
  static attnlab::Traits traits(const H2oOptions&) {
    return {.provides = {Feature::token_eviction, Feature::per_head_eviction, Feature::mass_based},
            .needs = {Feature::kv_rows, Feature::attention_mass}};
  }
  std::unique_ptr<attnlab::LayerCache> create(const attnlab::LayerCacheContext& context) const override {
    const attnlab::SequenceBytes bytes_of = context.sequence_bytes(attnlab::kScoreBytes);
    const bool in_bytes = options_.heavy.unit == attnlab::Budget::Unit::bytes;
    // Bytes hold both together, and are shared out as they were given.
    attnlab::Budget all = options_.heavy;
    all.amount += options_.recent.amount;
    std::vector<int> keep = in_bytes ? all.rows(context, bytes_of, 2) : options_.recent.rows(context, bytes_of);
    std::vector<int> heavy(keep.size());
    if (!in_bytes && options_.heavy.amount > 0) heavy = options_.heavy.rows(context, bytes_of);
    std::vector<Protect> protect;
    for (std::size_t sequence = 0; sequence < keep.size(); ++sequence) {
      const int recent = in_bytes
                             ? std::max(1, static_cast<int>(keep[sequence] * (options_.recent.amount / all.amount)))
                             : keep[sequence];
      if (!in_bytes) keep[sequence] += heavy[sequence];
      protect.push_back(options_.protect({.recent = recent}));
      (void)attnlab::require_protected({keep[sequence]}, protect.back());
    }
    return attnlab::rows_cache(context, std::make_unique<HeavyHitters>(std::move(keep), std::move(protect), context));
  }

 private:
  H2oOptions options_;
};

constexpr attnlab::Component<attnlab::CachePolicy> kCache[] = {
    attnlab::component<attnlab::CachePolicy, H2o, H2oOptions>(
        {.id = "h2o",
         .summary = "Keeps the rows with the most attention so far and the newest ones.",
         .reference = "arXiv:2306.14048"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "h2o", .version = "1.0", .cache = kCache);
