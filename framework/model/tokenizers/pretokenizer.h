// Cuts a text into the pieces that merges never cross: Split, Digits, Punctuation, ByteLevel, Metaspace and Sequences
// of these. Some also rewrite the text (ByteLevel's alphabet, Metaspace's lower one eighth block for a space), so a
// piece owns its characters.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model/tokenizers/json.h"

namespace attnlab::model::tokenizer_parts {

struct Piece {
  std::string text;
  bool at_start;  // begins where the whole text begins: what prepend_scheme "first" asks
};

/// Immutable; any number of threads.
class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  /// No piece that comes out is empty.
  virtual void apply(std::vector<Piece>& pieces) const = 0;
};

/// Throws attnlab::Error for a kind that is not supported.
std::unique_ptr<PreTokenizer> parse_pre_tokenizer(const JsonNode& node);

/// prepend_scheme of a Metaspace, also of files that only have the older add_prefix_space.
enum class PrependScheme { always, first, never };
PrependScheme parse_prepend_scheme(const JsonNode& metaspace);

/// The one character in field `key`, as UTF-8.
std::string parse_character(const JsonNode& node, const std::string& key);

}  // namespace attnlab::model::tokenizer_parts
