// How likely a sentence of a probabilistic grammar begins with given words: the inside algorithm for prefixes (Jelinek
// and Lafferty 1991). From it come the chances of the next word that no predictor beats.
#pragma once

#include <vector>

#include <attnlab/api.h>

#include "tasks/grammar_rules.h"

namespace attnlab::tasks {

/// Immutable; for any number of threads at once.
class ATTNLAB_API PrefixChances {
 public:
  explicit PrefixChances(const Grammar& grammar);

  /// -ln of the chance of each word after those before it, in nats; `words` is the beginning of one sentence.
  [[nodiscard]] std::vector<double> surprisals(const std::vector<TokenId>& words) const;

 private:
  struct Half {
    int parent, right;
    double chance;
  };
  struct Corner {
    int top, corner;
    double chance;  // of all left edges from the top to the corner
  };
  struct Columns;
  void add_word(Columns& columns, TokenId word) const;

  int symbols_;
  std::vector<std::vector<Half>> halves_;           // by the left symbol of a branch
  std::vector<std::vector<Grammar::Leaf>> leaves_;  // by word
  std::vector<Corner> corners_;                     // of tops that begin a right half, or the whole
};

}  // namespace attnlab::tasks
