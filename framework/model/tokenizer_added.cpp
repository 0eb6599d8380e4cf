// See the header.
#include "model/tokenizer_added.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <unordered_map>
#include <utility>

#include "model/strict_json.h"
#include "model/tokenizer_icu.h"
#include "model/tokenizer_utf8.h"

namespace attnlab::model::tokenizer_parts {
namespace {

AddedToken parse_token(const JsonNode& node, std::int64_t id) {
  if (id < 0 || id >= std::numeric_limits<TokenId>::max()) {
    node.refuse("has the id " + std::to_string(id), "ids are integers from 0 without holes");
  }
  return {.id = static_cast<TokenId>(id),
          .content = node.at("content").string(),
          .single_word = node.boolean_or("single_word", false),
          .lstrip = node.boolean_or("lstrip", false),
          .rstrip = node.boolean_or("rstrip", false),
          .normalized = node.boolean_or("normalized", !node.boolean_or("special", false))};
}

// The last character before, the first character from `offset`.
char32_t character_before(std::string_view text, std::size_t offset) {
  std::size_t begin = offset - 1;
  while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) --begin;
  return code_point(text.substr(begin, offset - begin));
}
char32_t character_at(std::string_view text, std::size_t offset) {
  return code_point(text.substr(offset, static_cast<std::size_t>(first_character(text.substr(offset)).bytes)));
}
std::size_t bytes_of(char32_t c) {
  return c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
}

bool touches_word(std::string_view text, const Segment& segment) {
  return (segment.begin > 0 && is_word(character_before(text, segment.begin))) ||
         (segment.end < text.size() && is_word(character_at(text, segment.end)));
}

void take_white_space(std::string_view text, const AddedToken& token, std::size_t free_from, Segment& segment) {
  if (token.lstrip) {
    while (segment.begin > free_from) {
      const char32_t c = character_before(text, segment.begin);
      if (!is_white_space(c)) break;
      segment.begin -= bytes_of(c);
    }
  }
  if (token.rstrip) {
    while (segment.end < text.size()) {
      const char32_t c = character_at(text, segment.end);
      if (!is_white_space(c)) break;
      segment.end += bytes_of(c);
    }
  }
}

}  // namespace

std::vector<AddedToken> parse_added_tokens(const JsonNode& tokenizer, const std::optional<JsonNode>& config) {
  std::vector<AddedToken> tokens;
  std::unordered_map<std::string, TokenId> known;
  const auto add = [&](const JsonNode& node, std::int64_t id) {
    AddedToken token = parse_token(node, id);
    const auto [found, is_new] = known.emplace(token.content, token.id);
    if (is_new) {
      tokens.push_back(std::move(token));
    } else if (found->second != token.id) {
      node.refuse("gives " + in_quotes(token.content) + " the id " + std::to_string(token.id) +
                  ", but it already has " + std::to_string(found->second));
    }
  };
  if (const auto list = tokenizer.find("added_tokens")) {
    for (const JsonNode& node : list->items()) add(node, node.at("id").integer());
  }
  const auto table = config ? config->find("added_tokens_decoder") : std::nullopt;
  if (table) {
    for (const auto& [key, node] : table->entries()) {
      std::int64_t id = 0;
      const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
      if (error != std::errc() || end != key.data() + key.size())
        table->refuse("has " + in_quotes(key) + ", which is no id");
      add(node, id);
    }
  }
  return tokens;
}

void AddedTokenFinder::add(AddedToken token, std::string_view spelling) {
  if (spelling.empty()) return;
  int at = 0;
  for (const char c : spelling) {
    const int fresh = static_cast<int>(nodes_.size());
    const auto [step, is_new] = nodes_[static_cast<std::size_t>(at)].next.emplace(static_cast<unsigned char>(c), fresh);
    at = step->second;
    if (is_new) nodes_.emplace_back();
  }
  Node& end = nodes_[static_cast<std::size_t>(at)];
  if (end.token >= 0) return;  // two contents with the same normal form: the first one is found
  end.token = static_cast<int>(tokens_.size());
  tokens_.push_back(std::move(token));
}

AddedTokenFinder::Match AddedTokenFinder::match_at(std::string_view text) const {
  Match longest{-1, 0};
  const Node* node = &nodes_[0];
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto step = node->next.find(static_cast<unsigned char>(text[i]));
    if (step == node->next.end()) break;
    node = &nodes_[static_cast<std::size_t>(step->second)];
    if (node->token >= 0) longest = {node->token, i + 1};
  }
  return longest;
}

std::vector<Segment> AddedTokenFinder::split(std::string_view text) const {
  std::vector<Segment> segments;
  std::size_t done = 0;
  for (std::size_t at = 0; !tokens_.empty() && at < text.size();) {
    const Match match = match_at(text.substr(at));
    if (match.token < 0) {
      ++at;
      continue;
    }
    const AddedToken& token = tokens_[static_cast<std::size_t>(match.token)];
    Segment segment{at, at + match.bytes, token.id};
    at = segment.end;  // also past a match that is then dropped, as the Hugging Face library does
    if (token.single_word && touches_word(text, segment)) continue;
    take_white_space(text, token, done, segment);
    if (done < segment.begin) segments.push_back({done, segment.begin, std::nullopt});
    segments.push_back(segment);
    done = segment.end;
  }
  if (done < text.size()) segments.push_back({done, text.size(), std::nullopt});
  return segments;
}

}  // namespace attnlab::model::tokenizer_parts
