// See the header.
#include "model/tokenizer_postprocessor.h"

#include <string>
#include <utility>

#include "model/strict_json.h"

namespace attnlab::model::tokenizer_parts {

PostProcessor::PostProcessor(const JsonNode& node, int vocab_size) {
  add(node, vocab_size);
}

void PostProcessor::add(const JsonNode& node, int vocab_size) {
  const std::string kind = node.at("type").string();
  if (kind == "ByteLevel") return;
  if (kind == "Sequence") {
    for (const JsonNode& step : node.at("processors").items()) add(step, vocab_size);
    return;
  }
  if (kind != "TemplateProcessing") node.refuse_kind(kind, {"TemplateProcessing", "ByteLevel", "Sequence"});

  std::vector<Part> parts;
  for (const JsonNode& piece : node.at("single").items()) {
    if (const auto text = piece.find("Sequence")) {
      if (text->at("id").string() != "A") text->refuse("names a second text", "a template for one text has only A");
      parts.push_back({true, {}});
      continue;
    }
    const std::string name = piece.at("SpecialToken").at("id").string();
    Part part{false, {}};
    for (const JsonNode& id : node.at("special_tokens").at(name).at("ids").items()) {
      if (id.integer() < 0 || id.integer() >= vocab_size) {
        id.refuse("is " + shown(id.value()) + ", which is outside the vocabulary",
                  "ids run from 0 to " + std::to_string(vocab_size - 1));
      }
      part.ids.push_back(static_cast<TokenId>(id.integer()));
    }
    parts.push_back(std::move(part));
  }
  templates_.push_back(std::move(parts));
}

std::vector<TokenId> PostProcessor::apply(std::vector<TokenId> ids) const {
  for (const std::vector<Part>& parts : templates_) {
    std::vector<TokenId> all;
    for (const Part& part : parts) {
      const std::vector<TokenId>& added = part.is_text ? ids : part.ids;
      all.insert(all.end(), added.begin(), added.end());
    }
    ids = std::move(all);
  }
  return ids;
}

}  // namespace attnlab::model::tokenizer_parts
