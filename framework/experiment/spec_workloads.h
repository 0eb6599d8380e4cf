// What is measured of every arm: `speed`, `perplexity`, `generate`, `recall`. A new workload is a struct here, a reader
// and a row of the table in the .cpp.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <attnlab/api.h>

#include "config/node.h"
#include "config/problem_list.h"
#include "experiment/batch.h"
#include "experiment/recall_data.h"

namespace attnlab::experiment {

/// Sequences of equal length: a prompt, then tokens one at a time.
struct PromptShape {
  int prompt = 1;
  int generate = 1;
  int sequences = 1;

  bool operator==(const PromptShape&) const = default;
};

struct SpeedCase {
  std::string label;  // the batch as it is written, or prompt512_generate64_sequences1
  std::variant<Batch, PromptShape> shape;
};

struct SpeedWorkload {
  std::vector<SpeedCase> cases;
};

struct PerplexityWorkload {
  std::string label;  // sample_context256, sample_context256_prefill128, sample_context256_prefill_all
  std::filesystem::path text;
  int context = 0;  // tokens of a window, BOS included
  int prefill = 0;  // of these, the prompt; only what follows it is scored. `context`: the whole window is, but for BOS
  bool says_prefill = false;  // it was written; where a cache may drop or round rows it has to be
  int max_windows = 0;        // 0: all of the text
  std::string where;          // file:line:column, for what only the arms can tell

  [[nodiscard]] bool is_whole() const noexcept { return prefill >= context; }
};

struct GenerateWorkload {
  std::string label;  // tokens64
  std::string prompt;
  int tokens = 0;
  double temperature = 0;            // 0: greedy
  int top_k = 0;                     // 0: all
  double top_p = 1;                  // 1: all
  std::optional<std::int64_t> seed;  // absent: the experiment's
};

struct RecallWorkload {
  std::string label;  // length256_pairs16_examples32
  RecallShape shape;
  int prefill = 0;  // tokens of the prompt, 0: the pairs; only queries after it are scored. `length`: all are
  int examples = 0;
  std::optional<std::int64_t> seed;  // absent: the experiment's
  std::string where;                 // file:line:column, for what only the model can tell

  [[nodiscard]] int prompt() const noexcept { return prefill > 0 ? prefill : shape.prompt(); }
  [[nodiscard]] bool is_whole() const noexcept { return prefill >= shape.length; }
  [[nodiscard]] std::uint64_t seed_or(std::uint64_t otherwise) const noexcept {
    return seed ? static_cast<std::uint64_t>(*seed) : otherwise;
  }
};

using Workload = std::variant<SpeedWorkload, PerplexityWorkload, GenerateWorkload, RecallWorkload>;

/// The `workload` column: "speed", "perplexity", "generate", "recall".
[[nodiscard]] ATTNLAB_API std::string_view workload_name(const Workload& workload);
/// The `case` column; unique among the workloads of one name.
[[nodiscard]] ATTNLAB_API std::vector<std::string> case_labels(const Workload& workload);

/// `node` is the list; `folder` is what paths are relative to.
[[nodiscard]] std::vector<Workload> read_workloads(const config::Node& node, const std::filesystem::path& folder,
                                                   config::ProblemList& problems);

}  // namespace attnlab::experiment
