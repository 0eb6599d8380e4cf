#include <attnlab/heavy_hitters.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace attnlab {
namespace {

// What stays in one phase.
struct KeptRows {
  std::vector<int> rows;         // [sequences]
  std::vector<Protect> protect;  // [sequences]
};

class HeavyHitters final : public EvictionRule {
 public:
  HeavyHitters(Acts acts, KeptRows after_prompt, KeptRows after_step, const LayerCacheContext& context,
               BeforeDrop before_drop)
      : keep_(acts, std::move(after_prompt.rows), std::move(after_step.rows)),
        after_prompt_(std::move(after_prompt.protect)),
        after_step_(std::move(after_step.protect)),
        kv_heads_(context.shape.kv_heads),
        before_drop_(std::move(before_drop)),
        mass_(context.sequences, kv_heads_) {}

  int row_limit(int sequence, int length) const noexcept override { return keep_.limit(sequence, length); }
  MassSink* mass_sink() noexcept override { return &mass_; }

  void appended(const ChunkView& chunk, TensorView<const float, 3>, TensorView<const float, 3>) override {
    for (int sequence = 0; sequence < chunk.sequences(); ++sequence) {
      mass_.count_from(sequence, 0);
      mass_.grow(chunk, sequence, keep_.most(sequence));
    }
  }

  void check(const ChunkView& chunk, int sequence, KvRows& rows) override {
    const std::optional<int> keep = keep_.at(chunk, sequence);
    if (!keep) return;
    const std::vector<Protect>& protect = chunk.phases[sequence] == Phase::decode ? after_step_ : after_prompt_;
    for (int head = 0; head < kv_heads_; ++head) {
      std::vector<double>& mass = mass_.at(sequence, head);
      const std::vector<int> dropped = rows_to_drop(mass, rows.positions(sequence, head), *keep, protect[sequence]);
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
  PhaseRows keep_;
  std::vector<Protect> after_prompt_, after_step_;  // [sequences]
  int kv_heads_;
  BeforeDrop before_drop_;
  RowMass mass_;
};

}  // namespace

namespace {

void check_pair(const Budget& heavy, const Budget& recent, const HeavyHitterOptions& options, const char* heavy_name,
                const char* recent_name, Problems& problems) {
  using Unit = Budget::Unit;
  if (recent.unit == Unit::tokens && recent.amount < 1)
    problems.add(recent_name, recent.text() + " is too few rows; it must be at least 1");
  if ((heavy.unit == Unit::bytes) != (recent.unit == Unit::bytes))
    problems.add(heavy_name,
                 std::string("and ") + recent_name + " must both be bytes, or neither: bytes hold the two together");
  if (heavy.unit != Unit::tokens || recent.unit != Unit::tokens) return;
  Budget both = heavy;
  both.amount += recent.amount;
  check_protected(both, options.protect({.recent = static_cast<int>(recent.amount)}), problems);
}

KeptRows kept_rows(const HeavyHitterOptions& options, const Budget& heavy, const Budget& recent,
                   const LayerCacheContext& context) {
  const SequenceBytes bytes_of = context.sequence_bytes(kScoreBytes);
  const bool in_bytes = heavy.unit == Budget::Unit::bytes;
  // Bytes hold both together, and are shared out as they were given.
  Budget all = heavy;
  all.amount += recent.amount;
  KeptRows kept{in_bytes ? all.rows(context, bytes_of, 2) : recent.rows(context, bytes_of), {}};
  std::vector<int> hitters(kept.rows.size());
  if (!in_bytes && heavy.amount > 0) hitters = heavy.rows(context, bytes_of);
  for (std::size_t sequence = 0; sequence < kept.rows.size(); ++sequence) {
    int& rows = kept.rows[sequence];
    const int newest = in_bytes ? std::max(1, static_cast<int>(rows * (recent.amount / all.amount))) : rows;
    if (!in_bytes) rows += hitters[sequence];
    kept.protect.push_back(options.protect({.recent = newest}));
    (void)require_protected({rows}, kept.protect.back());
  }
  return kept;
}

}  // namespace

void HeavyHitterOptions::check(const HeavyHitterOptions& options, Problems& problems) {
  check_pair(options.heavy, options.recent, options, "heavy", "recent", problems);
  const bool has_own = options.decode_recent.amount > 0;
  if (!has_own && options.decode_heavy.amount > 0)
    problems.add("decode_heavy", "is given without decode_recent; after a step some of the newest rows must stay too");
  if (has_own && options.acts != Acts::both)
    problems.add("decode_recent",
                 "has no place where the policy acts in one phase alone: heavy and recent are of that");
  else if (has_own)
    check_pair(options.decode_heavy, options.decode_recent, options, "decode_heavy", "decode_recent", problems);
}

std::unique_ptr<EvictionRule> heavy_hitters(const HeavyHitterOptions& options, const LayerCacheContext& context,
                                            BeforeDrop before_drop) {
  KeptRows after_prompt = kept_rows(options, options.heavy, options.recent, context);
  KeptRows after_step = options.decode_recent.amount > 0
                            ? kept_rows(options, options.decode_heavy, options.decode_recent, context)
                            : after_prompt;
  return std::make_unique<HeavyHitters>(options.acts, std::move(after_prompt), std::move(after_step), context,
                                        std::move(before_drop));
}

}  // namespace attnlab
