// See the header.
#include "model/tokenizers/side_files.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <unordered_map>
#include <utility>

#include "model/checkpoints/checkpoint_folder.h"
#include "model/checkpoints/strict_json.h"

namespace attnlab::model::tokenizer_parts {
namespace {

// In the order in which transformers adds those that have no id.
constexpr std::array kSpecialKeys{"bos_token", "eos_token", "unk_token", "sep_token",
                                  "pad_token", "cls_token", "mask_token"};

std::optional<JsonNode> read(const std::filesystem::path& file, std::optional<JsonDocument>& text) {
  if (!is_there(file)) return std::nullopt;
  text = JsonDocument::read(file, kMaxTokenizerBytes);
  JsonNode node(text->root(), file.string());
  if (!text->root().is(JsonKind::object)) node.refuse("must be an object");
  return node;
}

// Either the token itself or an object that describes it.
AddedToken parse_special_token(const JsonNode& node) {
  if (!node.value().is(JsonKind::object)) return {.id = -1, .content = node.string()};
  AddedToken token = parse_added_token(node, 0);
  token.normalized = node.boolean_or("normalized", false);
  return token;
}

TokenId parse_key(const JsonNode& table, const std::string& key) {
  TokenId id = 0;
  const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
  if (error != std::errc() || end != key.data() + key.size())
    table.refuse("has " + in_quotes(key) + ", which is no id");
  return id;
}

class TokenList {
 public:
  TokenList(const FindToken& find, TokenId next_id) : find_(find), next_id_(next_id) {}

  void add(const JsonNode& place, AddedToken token) {
    const auto in_vocabulary = find_(token.content);
    if (in_vocabulary && *in_vocabulary != token.id) {
      place.refuse("gives " + in_quotes(token.content) + " the id " + std::to_string(token.id) +
                   ", but the vocabulary gives it " + std::to_string(*in_vocabulary));
    }
    const auto [found, is_new] = ids_.emplace(token.content, token.id);
    if (is_new) {
      next_id_ = std::max(next_id_, token.id + 1);
      tokens_.push_back(std::move(token));
    } else if (found->second != token.id) {
      place.refuse("gives " + in_quotes(token.content) + " the id " + std::to_string(token.id) +
                   ", but it already has " + std::to_string(found->second));
    }
  }

  // The id of a token that has one; else, unless `must_have_one`, a new id.
  TokenId name(const JsonNode& place, bool must_have_one) {
    AddedToken token = parse_special_token(place);
    if (const auto found = ids_.find(token.content); found != ids_.end()) return found->second;
    const auto in_vocabulary = find_(token.content);
    if (!in_vocabulary && must_have_one) {
      place.refuse("is " + in_quotes(token.content) + ", which is not in the vocabulary");
    }
    token.id = in_vocabulary.value_or(next_id_);
    const TokenId id = token.id;
    add(place, std::move(token));
    return id;
  }

  std::vector<AddedToken> take() { return std::move(tokens_); }

 private:
  const FindToken& find_;
  TokenId next_id_;
  std::vector<AddedToken> tokens_;
  std::unordered_map<std::string, TokenId> ids_;
};

}  // namespace

SideFiles::SideFiles(const std::filesystem::path& folder)
    : config_(read(folder / "tokenizer_config.json", config_text_)) {
  if (config_ && config_->find("added_tokens_decoder")) return;
  map_ = read(folder / "special_tokens_map.json", map_text_);
  added_ = read(folder / "added_tokens.json", added_text_);
}

SideFiles::SideFiles(std::string config, const std::string& where)
    : config_text_(std::in_place, std::move(config), where) {
  config_.emplace(config_text_->root(), where);
}

std::optional<JsonNode> SideFiles::special_token(const std::string& key) const {
  if (map_) {
    if (const auto field = map_->find(key)) return field;
  }
  return config_ ? config_->find(key) : std::nullopt;
}

std::optional<bool> SideFiles::setting(const std::string& key) const {
  const auto field = config_ ? config_->find(key) : std::nullopt;
  if (!field) return std::nullopt;
  return field->boolean();
}

NamedTokens name_tokens(const std::optional<JsonNode>& own, const SideFiles& files, const FindToken& find,
                        TokenId vocabulary_end) {
  if (files.setting("split_special_tokens").value_or(false)) {
    files.config()->at("split_special_tokens").refuse("is not supported", "special tokens are found in a text: false");
  }
  TokenList list(find, vocabulary_end);
  if (own) {
    for (const JsonNode& node : own->items()) list.add(node, parse_added_token(node, node.at("id").integer()));
  }
  if (const auto table = files.config() ? files.config()->find("added_tokens_decoder") : std::nullopt) {
    for (const auto& [key, node] : table->entries()) list.add(node, parse_added_token(node, parse_key(*table, key)));
  }
  if (files.added_tokens()) {
    // What is known of these is the id only; a special token is also named, and named ones are not normalized.
    std::vector<std::string> special;
    for (const char* key : kSpecialKeys) {
      if (const auto node = files.special_token(key)) special.push_back(parse_special_token(*node).content);
    }
    for (const auto& [content, id] : files.added_tokens()->entries()) {
      const bool is_special = std::ranges::find(special, content) != special.end();
      list.add(id, {.id = checked_id(id, id.integer()), .content = content, .normalized = !is_special});
    }
  }

  NamedTokens named;
  for (const std::string key : kSpecialKeys) {
    const auto node = files.special_token(key);
    if (!node) continue;
    const TokenId id = list.name(*node, key == "bos_token" || key == "eos_token");
    if (key == "bos_token") named.bos = id;
    if (key == "eos_token") named.eos = id;
  }
  for (const char* key : {"additional_special_tokens", "extra_special_tokens"}) {
    const auto more = files.special_token(key);
    if (!more) continue;
    if (more->value().is(JsonKind::object)) {
      for (const auto& [name, node] : more->entries()) list.name(node, false);
    } else {
      for (const JsonNode& node : more->items()) list.name(node, false);
    }
  }
  named.added = list.take();
  return named;
}

AddedAround added_around(const SideFiles& files, const NamedTokens& named, AddedAround otherwise) {
  const auto decide = [&](const char* key, const char* name, std::optional<TokenId> token, std::vector<TokenId>& ids) {
    const auto add = files.setting(key);
    if (!add) return;
    if (*add && !token) {
      if (!ids.empty()) return;
      files.config()->at(key).refuse("is true, but no token is named for it", std::string("name the ") + name);
    }
    ids.clear();
    if (*add) ids.push_back(*token);
  };
  decide("add_bos_token", "bos_token", named.bos, otherwise.before);
  decide("add_eos_token", "eos_token", named.eos, otherwise.after);
  return otherwise;
}

}  // namespace attnlab::model::tokenizer_parts
