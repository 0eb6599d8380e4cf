// Tokens that were added to a vocabulary after its training ("<|im_start|>"): they are found in the text before it is
// cut into pieces, so that nothing else ever spells them. Those marked `normalized` are looked for after the
// normalizer has run, the others before.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/tokenizers/json.h"
#include "model/tokenizers/tokenizer.h"

namespace attnlab::model::tokenizer_parts {

struct AddedToken {
  TokenId id = -1;
  std::string content;
  bool single_word = false;  // only where no letter touches it
  bool lstrip = false;       // takes the white space before it
  bool rstrip = false;       // and after it
  bool normalized = false;
};

/// Throws attnlab::Error (at `node`) unless `id` is one that a token can have.
TokenId checked_id(const JsonNode& node, std::int64_t id);

/// The object that describes a token in a tokenizer.json or a tokenizer_config.json.
AddedToken parse_added_token(const JsonNode& node, std::int64_t id);

/// Part of a text: an added token, or text in between.
struct Segment {
  std::size_t begin;
  std::size_t end;
  std::optional<TokenId> id;
};

/// Immutable; any number of threads.
class AddedTokenFinder {
 public:
  AddedTokenFinder() : nodes_(1) {}
  /// `spelling`: what to look for, the token's content or what the normalizer makes of it. Nothing if empty.
  void add(AddedToken token, std::string_view spelling);
  /// Covers `text` in order. Of tokens that begin at the same place, the longest wins.
  [[nodiscard]] std::vector<Segment> split(std::string_view text) const;

 private:
  struct Node {
    std::map<unsigned char, int> next;
    int token = -1;  // index of the token that ends here
  };
  struct Match {
    int token;  // -1: none
    std::size_t bytes;
  };
  [[nodiscard]] Match match_at(std::string_view text) const;

  std::vector<Node> nodes_;  // a trie over bytes; 0 is the root
  std::vector<AddedToken> tokens_;
};

}  // namespace attnlab::model::tokenizer_parts
