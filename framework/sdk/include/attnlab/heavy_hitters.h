// Heavy hitters: the rows that received the most attention so far stay, and the newest (Zhang et al. 2023, H2O). Shared
// by policies that choose rows in this way and differ in what they do with the dropped rows.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <tuple>

#include <attnlab/budget.h>
#include <attnlab/eviction.h>
#include <attnlab/observed_window.h>
#include <attnlab/options.h>

namespace attnlab {

struct ATTNLAB_API HeavyHitterOptions : ProtectOptions, ActsOption {
  Budget heavy = 128;
  Budget recent = 128;
  Budget decode_heavy = 0;
  Budget decode_recent = 0;

  static constexpr auto fields() {
    using H = HeavyHitterOptions;
    return std::tuple_cat(
        std::tuple{field("heavy", &H::heavy,
                         {.doc = "Rows that stay for their score, the attention they received, summed without "
                                 "decay. Protected first tokens are among these."}),
                   field("recent", &H::recent, {.doc = "Newest rows that stay."}),
                   field("decode_heavy", &H::decode_heavy,
                         {.doc = "As heavy, after a step of decode; read where decode_recent is given."}),
                   field("decode_recent", &H::decode_recent,
                         {.doc = "Newest rows that stay after a step of decode; 0: both as after the prompt."})},
        ActsOption::fields(), ProtectOptions::fields());
  }
  static void check(const HeavyHitterOptions& options, Problems& problems);
};

/// Called with the rows of a kv head that are about to be dropped (ascending indices), before they are dropped.
using BeforeDrop = std::function<void(KvRows& rows, int sequence, int kv_head, std::span<const int> dropped)>;

/// After a prompt and after each step (or in one of these phases), every kv head keeps its `recent` newest rows and of
/// the others the `heavy` ones with the most attention (equal: the higher position). An Error where the options leave
/// too few rows.
[[nodiscard]] ATTNLAB_API std::unique_ptr<EvictionRule> heavy_hitters(const HeavyHitterOptions& options,
                                                                      const LayerCacheContext& context,
                                                                      BeforeDrop before_drop = {});

}  // namespace attnlab
