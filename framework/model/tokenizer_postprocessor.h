// What a tokenizer.json adds around the ids of a prompt: TemplateProcessing (Llama 3's BOS). ByteLevel only moves
// offsets, which nothing here has. Pairs of texts are not supported: language models take one.
#pragma once

#include <optional>
#include <vector>

#include "model/tokenizer.h"
#include "model/tokenizer_json.h"

namespace attnlab::model::tokenizer_parts {

class PostProcessor {
 public:
  PostProcessor() = default;  // adds nothing
  /// Throws attnlab::Error for a kind that is not supported and for ids outside the vocabulary.
  PostProcessor(const JsonNode& node, int vocab_size);
  [[nodiscard]] std::vector<TokenId> apply(std::vector<TokenId> ids) const;

 private:
  struct Part {
    bool is_text;              // the ids so far
    std::vector<TokenId> ids;  // else these
  };
  void add(const JsonNode& node, int vocab_size);

  std::vector<std::vector<Part>> templates_;  // applied one after the other
};

}  // namespace attnlab::model::tokenizer_parts
