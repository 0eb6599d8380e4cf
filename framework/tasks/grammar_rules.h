// A probabilistic grammar of English sentences, in Chomsky's normal form: a symbol becomes two symbols or one word.
// Subjects and verbs agree in number across relative clauses and prepositional phrases, and "that" has two uses, so
// what comes next depends on what stands far back.
#pragma once

#include <string>
#include <vector>

#include <attnlab/random.h>

#include "tasks/task.h"

namespace attnlab::tasks {

struct Grammar {
  struct Branch {
    int parent, left, right;
    double chance;
  };
  struct Leaf {
    int parent;
    TokenId word;
    double chance;
  };
  int symbols = 0;  // the first, 0, is a sentence with its end
  std::vector<Branch> branches;
  std::vector<Leaf> leaves;        // with the branches of a symbol their chances make 1
  std::vector<std::string> words;  // by id
  TokenId end = 0;                 // the word that ends every sentence, and stands nowhere else
};

inline constexpr int kMostWords = 16;
inline constexpr double kMostRecursion = 0.3;  // up to here the expected length of a sentence is finite

/// `words`: nouns, adjectives and verbs of each kind, 1 to kMostWords; the r-th of them has a weight of 1/r.
/// `recursion`: chance that a phrase holds another phrase or clause, 0 to kMostRecursion.
[[nodiscard]] ATTNLAB_API Grammar english(int words, double recursion);

/// Words of one sentence, its end included; no more than `most`.
[[nodiscard]] ATTNLAB_API std::vector<TokenId> draw_sentence(const Grammar& grammar, int most, SplitMix64& draws);

/// Singular nouns: names of things for other tasks.
[[nodiscard]] ATTNLAB_API const std::vector<std::string>& nouns();

}  // namespace attnlab::tasks
