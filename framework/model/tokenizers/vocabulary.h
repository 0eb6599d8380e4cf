// The tokens of a tokenizer.json and their ids, both ways. A vocabulary of 150,000 tokens is read at every start, so
// all texts lie in one string and both directions are tables of numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/checkpoints/flat_index.h"
#include "model/tokenizers/tokenizer.h"

namespace attnlab::model::tokenizer_parts {

/// Immutable once it is filled; then for any number of threads.
class Vocabulary {
 public:
  /// For at most `tokens`.
  explicit Vocabulary(std::size_t tokens = 0);

  /// Adds a token that is not there yet, and is true; changes nothing and is false if the id is another token's.
  [[nodiscard]] bool add(std::string_view token, TokenId id);

  [[nodiscard]] std::optional<TokenId> id_of(std::string_view token) const;
  [[nodiscard]] std::optional<std::string_view> token_of(TokenId id) const;
  /// One more than the highest id; ids may have holes: published vocabularies do.
  [[nodiscard]] TokenId end() const { return end_; }

 private:
  struct Entry {
    std::uint32_t begin;  // in texts_
    std::uint32_t bytes;
    TokenId id;
  };
  [[nodiscard]] std::string_view text_of(const Entry& entry) const {
    return std::string_view(texts_).substr(entry.begin, entry.bytes);
  }
  [[nodiscard]] auto has_token(std::string_view token) const {
    return [this, token](std::uint32_t number) { return text_of(entries_[number]) == token; };
  }
  [[nodiscard]] auto has_id(TokenId id) const {
    return [this, id](std::uint32_t number) { return entries_[number].id == id; };
  }

  std::string texts_;
  std::vector<Entry> entries_;
  FlatIndex by_token_, by_id_;
  TokenId end_ = 0;
};

}  // namespace attnlab::model::tokenizer_parts
