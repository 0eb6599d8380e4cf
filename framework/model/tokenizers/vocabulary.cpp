// See the header.
#include "model/tokenizers/vocabulary.h"

#include <algorithm>
#include <functional>

namespace attnlab::model::tokenizer_parts {
namespace {

std::size_t hash_of(std::string_view token) {
  return std::hash<std::string_view>()(token);
}

}  // namespace

Vocabulary::Vocabulary(std::size_t tokens) : by_token_(tokens), by_id_(tokens) {
  entries_.reserve(tokens);
}

bool Vocabulary::add(std::string_view token, TokenId id) {
  const auto number = static_cast<std::uint32_t>(entries_.size());
  std::uint32_t& place = by_id_.number(static_cast<std::size_t>(id), has_id(id));
  if (place != FlatIndex::kNone) return false;
  place = number;
  by_token_.number(hash_of(token), has_token(token)) = number;
  entries_.push_back({static_cast<std::uint32_t>(texts_.size()), static_cast<std::uint32_t>(token.size()), id});
  texts_ += token;
  end_ = std::max(end_, id + 1);
  return true;
}

std::optional<TokenId> Vocabulary::id_of(std::string_view token) const {
  const std::uint32_t number = by_token_.find(hash_of(token), has_token(token));
  if (number == FlatIndex::kNone) return std::nullopt;
  return entries_[number].id;
}

std::optional<std::string_view> Vocabulary::token_of(TokenId id) const {
  const std::uint32_t number = by_id_.find(static_cast<std::size_t>(id), has_id(id));
  if (number == FlatIndex::kNone) return std::nullopt;
  return text_of(entries_[number]);
}

}  // namespace attnlab::model::tokenizer_parts
