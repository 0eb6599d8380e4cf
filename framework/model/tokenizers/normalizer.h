// What a tokenizer.json does to a text before it is cut: the four normal forms (Qwen has NFC), Prepend and Replace
// (Llama 2), Lowercase, Strip, StripAccents, and Sequences of these.
// Not here: Precompiled (the table of a sentencepiece model) and BertNormalizer, which are refused by name.
#pragma once

#include <memory>
#include <string>

#include "model/tokenizers/json.h"

namespace attnlab::model::tokenizer_parts {

/// Immutable; any number of threads.
class Normalizer {
 public:
  virtual ~Normalizer() = default;
  [[nodiscard]] virtual std::string apply(std::string text) const = 0;
};

/// Throws attnlab::Error for a kind that is not supported.
std::unique_ptr<Normalizer> parse_normalizer(const JsonNode& node);

}  // namespace attnlab::model::tokenizer_parts
