// What a tokenizer.json adds around the ids of a prompt: TemplateProcessing (Llama 3's BOS), RobertaProcessing and
// BertProcessing. ByteLevel only moves offsets, which nothing here has. Every one of them puts ids before the text and
// ids after it, so that is all that is kept, and what was added is never confused with what stood in the text.
// Pairs of texts are not supported: language models take one.
#pragma once

#include <vector>

#include "model/tokenizers/json.h"
#include "model/tokenizers/tokenizer.h"

namespace attnlab::model::tokenizer_parts {

struct AddedAround {
  std::vector<TokenId> before;
  std::vector<TokenId> after;
};

/// "post_processor" of a tokenizer.json. Throws attnlab::Error for a kind that is not supported, a template that does
/// not name its text once, and ids outside the vocabulary.
AddedAround parse_post_processor(const JsonNode& node, int vocab_size);

}  // namespace attnlab::model::tokenizer_parts
