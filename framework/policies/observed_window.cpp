#include <attnlab/observed_window.h>

#include <limits>
#include <numeric>

#include <attnlab/error.h>

#include <fmt/format.h>

namespace attnlab {
namespace {

// Empty where all protected rows stay.
std::string protected_fault(double rows, Protect protect) {
  const double wanted = static_cast<double>(protect.first) + protect.recent;
  if (wanted <= rows) return {};
  return fmt::format("{} first and {} newest rows are protected, but only {} stay", protect.first, protect.recent,
                     rows);
}

class BestObserved final : public EvictionRule {
 public:
  BestObserved(const ObservedWindowOptions& options, std::vector<int> keep, const LayerCacheContext& context)
      : keep_(require_protected(std::move(keep), options.protected_rows())),
        protect_(options.protected_rows()),
        kv_heads_(context.shape.kv_heads),
        observed_(options, context) {}

  int row_limit(int sequence, int length) const noexcept override { return std::min(length, keep_[sequence]); }
  MassSink* mass_sink() noexcept override { return observed_.sink(); }
  void appended(const ChunkView& chunk, TensorView<const float, 3>, TensorView<const float, 3>) override {
    observed_.appended(chunk);
  }

  void check(const ChunkView& chunk, int sequence, KvRows& rows) override {
    if (chunk.phases[sequence] != Phase::last_prefill) return;
    for (int head = 0; head < kv_heads_; ++head) {
      if (rows.rows(sequence, head) > keep_[sequence]) {
        const std::span<const Position> positions = rows.positions(sequence, head);
        const std::vector<double> scores = observed_.scores(sequence, head, positions);
        rows.drop(sequence, head, rows_to_drop(scores, positions, keep_[sequence], protect_));
      }
      observed_.forget(sequence, head, rows.rows(sequence, head));
    }
  }

  void clear(int sequence) override { observed_.clear(sequence); }
  void save(int sequence, StateWriter& to) const override { observed_.save(sequence, to); }
  void restore(int sequence, StateReader& from) override { observed_.restore(sequence, from); }
  std::size_t bytes() const noexcept override { return observed_.bytes(); }

 private:
  std::vector<int> keep_;  // [sequences]
  Protect protect_;
  int kv_heads_;
  ObservedWindow observed_;
};

}  // namespace

void check_protected(const Budget& budget, Protect protect, Problems& problems, const char* name) {
  if (budget.unit != Budget::Unit::tokens) return;
  if (budget.amount < 1) problems.add(name, budget.text() + " is too few rows; it must be at least 1");
  if (std::string fault = protected_fault(budget.amount, protect); !fault.empty())
    problems.add("protect.first", std::move(fault));
}

std::vector<int> require_protected(std::vector<int> rows, Protect protect) {
  for (const int of_sequence : rows)
    if (std::string fault = protected_fault(of_sequence, protect); !fault.empty())
      throw Error("", std::move(fault), "raise the budget or protect fewer rows");
  return rows;
}

void BestRowsOptions::check(const BestRowsOptions& options, Problems& problems) {
  check_protected(options.budget, options.protect(), problems);
  if (options.decode_budget.amount == 0) return;
  if (options.acts != Acts::both)
    problems.add("decode_budget",
                 "has no place where the policy acts in one phase alone: `budget` is that of the phase");
  else
    check_protected(options.decode_budget, options.protect(), problems, "decode_budget");
}

PhaseRows BestRowsOptions::rows(const LayerCacheContext& context, double own) const {
  const Protect kept = protect();
  const auto of = [&](const Budget& given) {
    return require_protected(given.rows(context, context.sequence_bytes(own), kept.first + kept.recent), kept);
  };
  std::vector<int> after_prompt = of(budget);
  std::vector<int> after_step = decode_budget.amount > 0 ? of(decode_budget) : after_prompt;
  return {acts, std::move(after_prompt), std::move(after_step)};
}

void ObservedWindowOptions::check(const ObservedWindowOptions& options, Problems& problems) {
  if (options.kernel % 2 == 0) problems.add("kernel", fmt::format("{} has no middle; it must be odd", options.kernel));
  if (options.budget.unit == Budget::Unit::tokens && options.budget.amount <= options.window)
    problems.add("budget", fmt::format("{} must be more than the window of {}", options.budget.amount, options.window));
  else
    check_protected(options.budget, options.protected_rows(), problems);
}

std::vector<int> ObservedWindowOptions::rows(const LayerCacheContext& context, const SequenceBytes& bytes_of) const {
  std::vector<int> rows = budget.rows(context, bytes_of, std::max(window + 1, protect_first + protected_rows().recent));
  for (const int of_sequence : rows)
    if (of_sequence <= window)
      throw Error("",
                  fmt::format("the budget {} is {} rows of every kv head, not more than the window of {}",
                              budget.text(), of_sequence, window),
                  "raise the budget or make the window smaller");
  return require_protected(std::move(rows), protected_rows());
}

ObservedWindow::ObservedWindow(const ObservedWindowOptions& options, const LayerCacheContext& context)
    : kv_heads_(context.shape.kv_heads),
      group_(context.heads / context.shape.kv_heads),
      window_(options.window),
      kernel_(options.kernel),
      pooling_(options.pooling),
      mass_(context.sequences, context.shape.kv_heads),
      rows_(static_cast<std::size_t>(context.sequences) * context.shape.kv_heads) {}

void ObservedWindow::appended(const ChunkView& chunk) {
  for (int sequence = 0; sequence < chunk.sequences(); ++sequence) {
    const int tokens = chunk.tokens_of(sequence);
    if (tokens == 0) continue;
    const bool decodes = chunk.phases[sequence] == Phase::decode;
    const Position first = decodes ? kNoQuery : chunk.lengths[sequence] - window_;
    mass_.count_from(sequence, first);
    for (int head = 0; head < kv_heads_; ++head) {
      int& rows = rows_of(sequence, head);
      rows += tokens;
      if (chunk.positions_of(sequence).back() >= first) mass_.grow(sequence, head, rows);
    }
  }
}

std::vector<double> ObservedWindow::scores(int sequence, int kv_head, std::span<const Position> positions) {
  const std::vector<double>& mass = mass_.at(sequence, kv_head);
  ATTNLAB_CHECK(mass.size() == positions.size(), "scores of rows that were not observed");
  const int rows = static_cast<int>(positions.size());
  std::vector<int> order(rows);  // ascending positions: neighbours are next to each other
  std::iota(order.begin(), order.end(), 0);
  if (!std::ranges::is_sorted(positions))
    std::ranges::sort(order, [&](int a, int b) { return positions[a] < positions[b]; });

  std::vector<double> scores(rows);
  const int older = std::max(rows - window_, 0);
  const double queries = static_cast<double>(window_) * group_;
  for (int i = 0; i < older; ++i) {
    double sum = 0;
    double largest = 0;  // of masses, which are not negative
    for (int j = std::max(i - kernel_ / 2, 0); j <= std::min(i + kernel_ / 2, older - 1); ++j) {
      sum += mass[order[j]];
      largest = std::max(largest, mass[order[j]]);
    }
    scores[order[i]] = pooling_ == Pooling::average ? sum / (kernel_ * queries) : largest / queries;
  }
  return scores;
}

void ObservedWindow::forget(int sequence, int kv_head, int rows) {
  rows_of(sequence, kv_head) = rows;
  std::vector<double>().swap(mass_.at(sequence, kv_head));  // = {} would keep its memory
}

void ObservedWindow::clear(int sequence) {
  mass_.clear(sequence);
  for (int head = 0; head < kv_heads_; ++head) rows_of(sequence, head) = 0;
}

void ObservedWindow::save(int sequence, StateWriter& to) const {
  mass_.save(sequence, to);
  to.put_all(std::span<const int>(rows_).subspan(static_cast<std::size_t>(sequence) * kv_heads_, kv_heads_));
}

void ObservedWindow::restore(int sequence, StateReader& from) {
  mass_.restore(sequence, from);
  std::vector<int> rows;
  from.get_all(rows);
  ATTNLAB_CHECK(static_cast<int>(rows.size()) == kv_heads_, "the state of another number of kv heads");
  std::ranges::copy(rows, rows_.begin() + static_cast<std::ptrdiff_t>(sequence) * kv_heads_);
}

std::unique_ptr<EvictionRule> best_observed(const ObservedWindowOptions& options, std::vector<int> keep,
                                            const LayerCacheContext& context) {
  return std::make_unique<BestObserved>(options, std::move(keep), context);
}

}  // namespace attnlab
