// The list of benchmarks: every loaded plugin of every kind, every storage, and the attention core without any of them,
// over head widths, contexts and passes. Not here: how one of them is run (kernel), and the command line (bench).
#pragma once

#include <string>
#include <vector>

#include "assembly/compose.h"
#include "assembly/layer_run.h"
#include "choices/plain_components.h"

namespace attnlab::bench {

/// What varies; the rest of the layer is the plain arm.
enum class Subject : std::uint8_t { attention, position, cache, storage, core };
[[nodiscard]] std::string_view subject_name(Subject subject);

/// The arm that everything is compared with: its attention, position, cache and storage.
inline constexpr const char* kPlain[] = {experiment::kPlainAttention, experiment::kPlainPosition,
                                         experiment::kPlainCache, experiment::kPlainStorage};

/// Rows of a kv head that every cache policy with a budget keeps, so that policies are compared at the same memory: on
/// average over the layers, the kv heads and the steps that are timed.
inline constexpr int kBudgetRows = 256;
/// Steps of decoding in which a cache may grow before it is filled anew: as long as that, the context is what the name
/// says.
inline constexpr int kGrowingSteps = 64;

/// prefill: the last chunk of a prompt, of the core a whole one. decode: one new token. backward: of the core alone,
/// from gradients of a prompt's outputs to those of its queries, keys and values.
enum class Pass : std::uint8_t { prefill, decode, backward };
[[nodiscard]] std::string_view pass_name(Pass pass);

struct Entry {
  Subject subject;
  std::string id;  // of the plugin or storage that is measured; "softmax" of the core
  int head_dim = 64;
  int context = 512;  // rows that the last query sees
  Pass pass = Pass::prefill;
  experiment::Composition parts;  // none where the core is measured

  /// "cache/h2o/head_dim:64/context:8192/decode".
  [[nodiscard]] bool decodes() const noexcept { return pass == Pass::decode; }
  [[nodiscard]] std::string name() const;
  [[nodiscard]] experiment::LayerSize size() const;
};

/// What cannot be measured, and why.
struct LeftOut {
  std::string name;  // "cache/h2o/head_dim:64"
  std::string reason;
};

struct Suite {
  std::vector<Entry> entries;
  std::vector<LeftOut> left_out;
};

/// Decided from what components declare, and what bounds small caches of the policies have: nothing runs.
[[nodiscard]] Suite make_suite(const Registry& registry);

}  // namespace attnlab::bench
