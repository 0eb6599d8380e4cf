// What a model is trained on. A task makes examples: tokens that are fed, and after each the token that is asked for.
// Every example is a function of a seed, a split and its index, so that nothing is stored, any thread may make any
// example, and a run that is continued sees what an undisturbed one sees.
// Not here: batches and their order in a run (example_order.h), and what is learned from them (training).
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <attnlab/api.h>

#include "config/node.h"
#include "model/tokenizers/tokenizer.h"

namespace attnlab::tasks {

using model::TokenId;

/// Nothing is asked for here: no logits, no loss.
inline constexpr TokenId kNoTarget = -1;
/// So many examples as are wanted, no two of the same index.
inline constexpr std::int64_t kEndless = std::numeric_limits<std::int64_t>::max();

/// One sequence of a batch: positions count from 0, and it sees only itself.
struct Example {
  std::vector<TokenId> input;    // [tokens], at most Task::length()
  std::vector<TokenId> targets;  // [tokens]: the token asked for after input[i], or kNoTarget
  std::vector<double> optimum;   // [tokens]: -ln p(targets[i]) of the best predictor that sees input[0..i], 0 without
                                 // a target; empty where that is not known
  std::int64_t question = 0;     // tokens before the question, which asks for what stands in them; 0: it has none
  /// Indices of targets with which an answer begins that follows another one at once; all other answers begin where the
  /// token before has no target.
  std::vector<std::int64_t> next_answers;
  double weight = 1;  // of each of its targets in a loss, which is their weighted mean
  void clear() noexcept {
    input.clear();
    targets.clear();
    optimum.clear();
    next_answers.clear();
    question = 0;
    weight = 1;
  }
};

enum class Split : std::uint8_t { train, validation };

/// What is known of a task beside its examples.
struct TaskFacts {
  std::string name;
  config::Mark where;                             // of the name, for errors
  bool has_answers = false;                       // targets follow from the input, so that accuracy is a measure
  bool knows_optimum = false;                     // Example::optimum is filled in every example
  bool is_sequential = false;                     // examples are taken in the order of their indices
  bool ids_are_bytes = false;                     // id i is the byte i
  std::filesystem::path tokenizer = {};           // the folder whose ids it speaks; empty: ids of its own, or bytes
  std::optional<double> bytes_per_token = {};     // of a text, in the split that is held out (else in the other)
  std::vector<std::filesystem::path> files = {};  // which it was read from
  nlohmann::ordered_json resolved = {};           // {"recall": {"length": 64, ...}}, with all defaults
};

/// Immutable; every method may be called by any number of threads at once.
class ATTNLAB_API Task {
 public:
  virtual ~Task();
  /// Tokens of the longest input.
  [[nodiscard]] virtual int length() const = 0;
  /// All ids are below; the model's vocabulary must hold them.
  [[nodiscard]] virtual int vocab_size() const = 0;
  /// Examples of a split: indices are below. kEndless: any index; 0: nothing is held out.
  [[nodiscard]] virtual std::int64_t examples(Split split) const = 0;
  /// Deterministic in (seed, split, index). No example of one split is one of the other where there are enough of them.
  virtual void example(std::uint64_t seed, Split split, std::int64_t index, Example& to) const = 0;
  [[nodiscard]] virtual const TaskFacts& facts() const = 0;
};

}  // namespace attnlab::tasks
