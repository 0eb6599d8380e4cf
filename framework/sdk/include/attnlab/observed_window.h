// What scoring policies share: the option `protect`, and the window of the newest prompt queries whose attention scores
// the rows before it (Li et al. 2024, SnapKV, and its relatives PyramidKV and AdaKV).
// Not here: how many rows stay in which layer and head; that is where the policies differ.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <tuple>
#include <vector>

#include <attnlab/budget.h>
#include <attnlab/eviction.h>
#include <attnlab/options.h>
#include <attnlab/phases.h>

namespace attnlab {

/// `protect: {first, recent}` of every scoring policy. Nothing by default, as published.
struct ATTNLAB_API ProtectOptions {
  std::int32_t protect_first = 0;
  std::int32_t protect_recent = 0;

  static constexpr auto fields() {
    using P = ProtectOptions;
    return std::tuple{
        field("protect.first", &P::protect_first,
              {.min = 0, .unit = "tokens", .doc = "First tokens, which are never evicted; within the budget."}),
        field("protect.recent", &P::protect_recent,
              {.min = 0, .unit = "tokens", .doc = "Newest rows, which are not evicted; within the budget."})};
  }
  /// Together with what the policy protects itself.
  [[nodiscard]] Protect protect(Protect own = {}) const noexcept {
    return {std::max(protect_first, own.first), std::max(protect_recent, own.recent)};
  }
};

/// For a `check`: reports a budget that keeps fewer rows than are protected. Budgets that are not in tokens are checked
/// later, when the number of rows is known (require_protected). `name`: the option's.
ATTNLAB_API void check_protected(const Budget& budget, Protect protect, Problems& problems,
                                 const char* name = "budget");
/// For `create`: the rows of each sequence; an Error where they are fewer than the protected ones.
[[nodiscard]] ATTNLAB_API std::vector<int> require_protected(std::vector<int> rows, Protect protect);

/// Of policies that keep the rows with the best scores, whatever the score is, after the prompt and every step.
struct ATTNLAB_API BestRowsOptions : ProtectOptions, ActsOption {
  Budget budget = 256;
  Budget decode_budget = 0;

  static constexpr auto fields() {
    using O = BestRowsOptions;
    return std::tuple_cat(
        std::tuple{field("budget", &O::budget, {.doc = "Rows that stay; the newest is a candidate like all others."}),
                   field("decode_budget", &O::decode_budget,
                         {.doc = "Rows that stay after a step of decode; 0: as many as after the prompt."})},
        ActsOption::fields(), ProtectOptions::fields());
  }
  static void check(const BestRowsOptions& options, Problems& problems);
  /// An Error where fewer rows stay than are protected. `own`: bytes of the policy itself for a row.
  [[nodiscard]] PhaseRows rows(const LayerCacheContext& context, double own = 0) const;
};

/// What `RowMass`, or another vector of doubles, holds for a row.
inline constexpr double kScoreBytes = sizeof(double);

/// How a score is mixed with its neighbours'.
enum class Pooling : std::uint8_t { average, maximum };
template <>
inline constexpr std::array<Choice<Pooling>, 2> kChoices<Pooling>{
    {{"average", Pooling::average}, {"maximum", Pooling::maximum}}};

struct ATTNLAB_API ObservedWindowOptions : ProtectOptions {
  Budget budget = 256;
  std::int32_t window = 32;
  std::int32_t kernel = 7;
  Pooling pooling = Pooling::average;

  static constexpr auto fields() {
    using O = ObservedWindowOptions;
    return std::tuple_cat(
        std::tuple{
            field("budget", &O::budget, {.doc = "Rows of a kv head that stay after the prompt, window included."}),
            field("window", &O::window,
                  {.min = 1,
                   .unit = "tokens",
                   .doc = "Newest tokens of the prompt; their queries score rows, and their own rows stay."}),
            field("kernel", &O::kernel,
                  {.min = 1,
                   .unit = "tokens",
                   .doc = "Width of the pooling over neighbouring scores, odd; the "
                          "divisor of an average is the width at the ends too."}),
            field("pooling", &O::pooling,
                  {.doc = "Average as in the paper, or maximum as in some of its authors' runs."})},
        ProtectOptions::fields());
  }
  static void check(const ObservedWindowOptions& options, Problems& problems);

  [[nodiscard]] Protect protected_rows() const noexcept { return protect({.recent = window}); }
  /// Of each sequence. An Error where the budget is not above the window or below what is protected. bytes_of: see
  /// Budget.
  [[nodiscard]] std::vector<int> rows(const LayerCacheContext& context, const SequenceBytes& bytes_of) const;
};

/// Scores of a prompt's rows from the attention of its newest queries. A rule holds one and hands out its sink.
class ATTNLAB_API ObservedWindow {
 public:
  ObservedWindow(const ObservedWindowOptions& options, const LayerCacheContext& context);

  [[nodiscard]] MassSink* sink() noexcept { return &mass_; }
  /// From the rule's `appended`: the newest `window` queries of a prompt count, and none in decode.
  void appended(const ChunkView& chunk);
  /// [rows] in the order of `positions`, at the end of a prompt. Mean attention that a row received from the window's
  /// queries and the group's heads, pooled with its neighbours by position. The window's own rows have
  /// score 0 and do not take part in the pooling.
  [[nodiscard]] std::vector<double> scores(int sequence, int kv_head, std::span<const Position> positions);
  /// To be called when the decision is made and `rows` rows are left: frees the masses, which are not needed any more.
  void forget(int sequence, int kv_head, int rows);
  void clear(int sequence);
  void save(int sequence, StateWriter& to) const;
  void restore(int sequence, StateReader& from);
  [[nodiscard]] std::size_t bytes() const noexcept { return mass_.bytes(); }

 private:
  [[nodiscard]] int& rows_of(int sequence, int kv_head) noexcept { return rows_[sequence * kv_heads_ + kv_head]; }

  int kv_heads_;
  int group_;
  int window_;
  int kernel_;
  Pooling pooling_;
  RowMass mass_;
  std::vector<int> rows_;  // [sequences x kv_heads] in the cache; masses exist in a prompt only
};

/// SnapKV's rule: once, at the end of a prompt, every kv head keeps `keep[sequence]` rows: the window's and the
/// protected ones, and of the others those with the highest scores. Decode evicts nothing. An Error where more are
/// protected than kept.
[[nodiscard]] ATTNLAB_API std::unique_ptr<EvictionRule> best_observed(const ObservedWindowOptions& options,
                                                                      std::vector<int> keep,
                                                                      const LayerCacheContext& context);

}  // namespace attnlab
