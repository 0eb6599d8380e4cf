#include <attnlab/heavy_hitters.h>

#include <algorithm>
#include <vector>

namespace attnlab {
namespace {

class HeavyHitters final : public EvictionRule {
 public:
  HeavyHitters(std::vector<int> keep, std::vector<Protect> protect, const LayerCacheContext& context,
               BeforeDrop before_drop)
      : keep_(std::move(keep)),
        protect_(std::move(protect)),
        kv_heads_(context.shape.kv_heads),
        before_drop_(std::move(before_drop)),
        mass_(context.sequences, kv_heads_) {}

  int row_limit(int sequence, int length) const noexcept override { return std::min(length, keep_[sequence]); }
  MassSink* mass_sink() noexcept override { return &mass_; }

  void appended(const ChunkView& chunk, TensorView<const float, 3>, TensorView<const float, 3>) override {
    for (int sequence = 0; sequence < chunk.sequences(); ++sequence) {
      mass_.count_from(sequence, 0);
      mass_.grow(chunk, sequence, keep_[sequence] + 1);
    }
  }

  void check(const ChunkView& chunk, int sequence, KvRows& rows) override {
    if (!chunk.ends_prompt_or_step(sequence)) return;
    for (int head = 0; head < kv_heads_; ++head) {
      std::vector<double>& mass = mass_.at(sequence, head);
      const std::vector<int> dropped =
          rows_to_drop(mass, rows.positions(sequence, head), keep_[sequence], protect_[sequence]);
      if (before_drop_ != nullptr && !dropped.empty()) before_drop_(rows, sequence, head, dropped);
      rows.drop(sequence, head, dropped);
      drop_entries(mass, dropped);
    }
  }

  void clear(int sequence) override { mass_.clear(sequence); }
  std::size_t bytes() const noexcept override { return mass_.bytes(); }
  void save(int sequence, StateWriter& to) const override { mass_.save(sequence, to); }
  void restore(int sequence, StateReader& from) override { mass_.restore(sequence, from); }

 private:
  std::vector<int> keep_;         // [sequences]
  std::vector<Protect> protect_;  // [sequences]
  int kv_heads_;
  BeforeDrop before_drop_;
  RowMass mass_;
};

}  // namespace

void HeavyHitterOptions::check(const HeavyHitterOptions& options, Problems& problems) {
  using Unit = Budget::Unit;
  if (options.recent.unit == Unit::tokens && options.recent.amount < 1)
    problems.add("recent", options.recent.text() + " is too few rows; it must be at least 1");
  if ((options.heavy.unit == Unit::bytes) != (options.recent.unit == Unit::bytes))
    problems.add("heavy", "and recent must both be bytes, or neither: bytes hold the two together");
  if (options.heavy.unit != Unit::tokens || options.recent.unit != Unit::tokens) return;
  const int recent = static_cast<int>(options.recent.amount);
  Budget both = options.heavy;
  both.amount += recent;
  check_protected(both, options.protect({.recent = recent}), problems);
}

std::unique_ptr<EvictionRule> heavy_hitters(const HeavyHitterOptions& options, const LayerCacheContext& context,
                                            BeforeDrop before_drop) {
  const SequenceBytes bytes_of = context.sequence_bytes(kScoreBytes);
  const bool in_bytes = options.heavy.unit == Budget::Unit::bytes;
  // Bytes hold both together, and are shared out as they were given.
  Budget all = options.heavy;
  all.amount += options.recent.amount;
  std::vector<int> keep = in_bytes ? all.rows(context, bytes_of, 2) : options.recent.rows(context, bytes_of);
  std::vector<int> heavy(keep.size());
  if (!in_bytes && options.heavy.amount > 0) heavy = options.heavy.rows(context, bytes_of);
  std::vector<Protect> protect;
  for (std::size_t sequence = 0; sequence < keep.size(); ++sequence) {
    const int recent = in_bytes ? std::max(1, static_cast<int>(keep[sequence] * (options.recent.amount / all.amount)))
                                : keep[sequence];
    if (!in_bytes) keep[sequence] += heavy[sequence];
    protect.push_back(options.protect({.recent = recent}));
    (void)require_protected({keep[sequence]}, protect.back());
  }
  return std::make_unique<HeavyHitters>(std::move(keep), std::move(protect), context, std::move(before_drop));
}

}  // namespace attnlab
