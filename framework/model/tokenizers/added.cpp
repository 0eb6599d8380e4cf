// See the header.
#include "model/tokenizers/added.h"

#include <limits>
#include <utility>

#include "model/tokenizers/icu.h"
#include "model/tokenizers/utf8.h"

namespace attnlab::model::tokenizer_parts {
namespace {

bool touches_word(std::string_view text, const Segment& segment) {
  const std::string_view before = text.substr(0, segment.begin);
  const std::string_view after = text.substr(segment.end);
  return (!before.empty() && is_word(code_point(last_character(before)))) ||
         (!after.empty() &&
          is_word(code_point(after.substr(0, static_cast<std::size_t>(first_character(after).bytes)))));
}

void take_white_space(std::string_view text, const AddedToken& token, std::size_t free_from, Segment& segment) {
  if (token.lstrip && segment.begin > free_from) {
    segment.begin -= trailing_white_space(text.substr(free_from, segment.begin - free_from));
  }
  if (token.rstrip) segment.end += leading_white_space(text.substr(segment.end));
}

}  // namespace

TokenId checked_id(const JsonNode& node, std::int64_t id) {
  if (id < 0 || id >= std::numeric_limits<TokenId>::max()) {
    node.refuse("has the id " + std::to_string(id), "ids are integers from 0");
  }
  return static_cast<TokenId>(id);
}

AddedToken parse_added_token(const JsonNode& node, std::int64_t id) {
  node.has_only({"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special", "__type"});
  return {.id = checked_id(node, id),
          .content = node.at("content").string(),
          .single_word = node.boolean_or("single_word", false),
          .lstrip = node.boolean_or("lstrip", false),
          .rstrip = node.boolean_or("rstrip", false),
          .normalized = node.boolean_or("normalized", !node.boolean_or("special", false))};
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
