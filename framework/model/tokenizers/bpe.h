// Byte pair encoding as in a tokenizer.json: a piece's characters are joined pair by pair, the pair that was
// learnt first is joined first. A heap of candidate pairs over a linked list keeps a long piece at n log n (files
// without a pre-tokenizer, such as Llama 2's, make the whole text one piece).
// Not here: cutting the text into pieces, added tokens, dropout, word affixes.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/checkpoints/flat_index.h"
#include "model/tokenizers/json.h"
#include "model/tokenizers/tokenizer.h"
#include "model/tokenizers/vocabulary.h"

namespace attnlab::model::tokenizer_parts {

/// Immutable; any number of threads, each with its own Scratch.
class Bpe {
 public:
  struct Symbol {
    TokenId id;  // -1: merged into the symbol before it
    int previous;
    int next;  // -1: none
  };
  struct Candidate {
    int rank;
    int position;  // of the left symbol
    TokenId id;    // what the two become
  };
  struct Scratch {
    std::vector<Symbol> symbols;
    std::vector<Candidate> heap;
  };

  /// "model" of a tokenizer.json. Throws attnlab::Error for another kind and for merges of unknown tokens. Ids are
  /// non-negative and at most 2^31 - 2, but may still have holes: only the added tokens can fill them.
  explicit Bpe(const JsonNode& model);

  [[nodiscard]] const Vocabulary& vocabulary() const { return vocabulary_; }

  /// Appends the ids of one piece (UTF-8). A character that has no token becomes its bytes or unk_token; if the file
  /// names neither, it is left out, as in the Hugging Face library.
  void encode(std::string_view piece, Scratch& scratch, std::vector<TokenId>& ids) const;

 private:
  struct Merge {
    std::uint64_t pair;  // left id << 32 | right id
    int rank;
    TokenId id;
  };

  void read_vocabulary(const JsonNode& vocab);
  void read_merges(const JsonNode& merges);
  void split_into_symbols(std::string_view piece, std::vector<Symbol>& symbols) const;
  void merge_symbols(Scratch& scratch) const;
  void propose(Scratch& scratch, int left) const;
  [[nodiscard]] auto has_pair(std::uint64_t pair) const {
    return [this, pair](std::uint32_t number) { return merges_[number].pair == pair; };
  }
  const Merge* merge_of(TokenId left, TokenId right) const;

  std::string file_;
  Vocabulary vocabulary_;
  std::vector<Merge> merges_;
  FlatIndex merge_of_pair_;
  std::optional<std::array<TokenId, 256>> byte_tokens_;  // "<0x00>" ... "<0xFF>"; -1: the file has no such token
  std::optional<std::string> unk_token_;
  bool fuse_unk_ = false;
  bool ignore_merges_ = false;
};

}  // namespace attnlab::model::tokenizer_parts
