// See the header.
#include "model/tokenizers/postprocessor.h"

#include <string>
#include <utility>

#include "model/checkpoints/strict_json.h"

namespace attnlab::model::tokenizer_parts {
namespace {

TokenId parse_id(const JsonNode& id, int vocab_size) {
  if (id.integer() < 0 || id.integer() >= vocab_size) {
    id.refuse("is " + shown(id.value()) + ", which is outside the vocabulary",
              "ids run from 0 to " + std::to_string(vocab_size - 1));
  }
  return static_cast<TokenId>(id.integer());
}

// ["</s>", 2]
TokenId parse_token(const JsonNode& node, int vocab_size) {
  const std::vector<JsonNode> pair = node.items();
  if (pair.size() != 2 || !pair[0].value().is(JsonKind::string)) node.refuse("must be a token and its id");
  return parse_id(pair[1], vocab_size);
}

AddedAround parse_template(const JsonNode& node, int vocab_size) {
  // pair is for two texts; the others' "type_id" and "tokens" are for models with segments and for people.
  node.has_only({"type", "single", "pair", "special_tokens"});
  AddedAround added;
  bool text_is_there = false;
  const JsonNode single = node.at("single");
  for (const JsonNode& piece : single.items()) {
    piece.has_only({"Sequence", "SpecialToken"});
    if (const auto text = piece.find("Sequence")) {
      text->has_only({"id", "type_id"});
      if (text->at("id").string() != "A") text->refuse("names a second text", "a template for one text has only A");
      if (std::exchange(text_is_there, true)) single.refuse("names its text twice");
      continue;
    }
    const JsonNode special = piece.at("SpecialToken");
    special.has_only({"id", "type_id"});
    const JsonNode token = node.at("special_tokens").at(special.at("id").string());
    token.has_only({"id", "ids", "tokens"});
    for (const JsonNode& id : token.at("ids").items()) {
      (text_is_there ? added.after : added.before).push_back(parse_id(id, vocab_size));
    }
  }
  if (!text_is_there) single.refuse("does not name its text", "it must have {\"Sequence\": {\"id\": \"A\"}}");
  return added;
}

}  // namespace

AddedAround parse_post_processor(const JsonNode& node, int vocab_size) {
  const std::string kind = node.at("type").string();
  if (kind == "ByteLevel") {
    node.has_only({"type", "add_prefix_space", "trim_offsets", "use_regex"});
    return {};
  }
  if (kind == "TemplateProcessing") return parse_template(node, vocab_size);
  if (kind == "RobertaProcessing" || kind == "BertProcessing") {
    node.has_only({"type", "sep", "cls", "trim_offsets", "add_prefix_space"});  // the last two move offsets only
    return {{parse_token(node.at("cls"), vocab_size)}, {parse_token(node.at("sep"), vocab_size)}};
  }
  if (kind == "Sequence") {
    node.has_only({"type", "processors"});
    AddedAround all;
    for (const JsonNode& step : node.at("processors").items()) {
      const AddedAround outer = parse_post_processor(step, vocab_size);
      all.before.insert(all.before.begin(), outer.before.begin(), outer.before.end());
      all.after.insert(all.after.end(), outer.after.begin(), outer.after.end());
    }
    return all;
  }
  node.refuse_kind(kind, {"TemplateProcessing", "RobertaProcessing", "BertProcessing", "ByteLevel", "Sequence"});
}

}  // namespace attnlab::model::tokenizer_parts
