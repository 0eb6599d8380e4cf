// What the files beside a tokenizer say about it: tokenizer_config.json (names of BOS, EOS and the other special
// tokens, add_bos_token, add_eos_token, added_tokens_decoder), special_tokens_map.json and added_tokens.json. They
// speak of tokenizer.json and tokenizer.model alike, and are read as transformers reads them: added_tokens_decoder
// makes the two older files obsolete; without it special_tokens_map.json names the special tokens and added_tokens.json
// has the ids. Not here: chat templates, lengths, padding and whatever else a tokenizer_config.json holds for Python
// classes.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "model/tokenizers/added.h"
#include "model/tokenizers/json.h"
#include "model/tokenizers/postprocessor.h"
#include "model/tokenizers/tokenizer.h"

namespace attnlab::model::tokenizer_parts {

class SideFiles {
 public:
  /// Throws attnlab::Error for a file that is there but is no JSON.
  explicit SideFiles(const std::filesystem::path& folder);
  /// What a tokenizer_config.json would say, as text from somewhere else.
  SideFiles(std::string config, const std::string& where);
  SideFiles(const SideFiles&) = delete;
  SideFiles& operator=(const SideFiles&) = delete;

  [[nodiscard]] const std::optional<JsonNode>& config() const { return config_; }
  [[nodiscard]] const std::optional<JsonNode>& added_tokens() const { return added_; }
  /// bos_token, eos_token ... as the files give it; nothing if they do not or if it is null.
  [[nodiscard]] std::optional<JsonNode> special_token(const std::string& key) const;
  /// A yes-or-no setting of tokenizer_config.json.
  [[nodiscard]] std::optional<bool> setting(const std::string& key) const;

 private:
  std::optional<JsonDocument> config_text_, map_text_, added_text_;  // what the nodes point into
  std::optional<JsonNode> config_, map_, added_;
};

/// Tokens that are found in the text before it is cut, and the two that have a meaning of their own.
struct NamedTokens {
  std::vector<AddedToken> added;
  std::optional<TokenId> bos;
  std::optional<TokenId> eos;
};

using FindToken = std::function<std::optional<TokenId>(const std::string&)>;

/// "added_tokens" of a tokenizer.json (`own`, if there is one), those of `files` that it lacks, and every special token
/// that `files` names. A special token that has no id yet gets the next one after `vocabulary_end` and all others, as
/// transformers gives it; a BOS or EOS without an id is an error. `find` looks into the model's vocabulary.
/// Throws attnlab::Error for a text with two ids.
NamedTokens name_tokens(const std::optional<JsonNode>& own, const SideFiles& files, const FindToken& find,
                        TokenId vocabulary_end);

/// What is added around a prompt: `otherwise`, unless add_bos_token decides what comes before it (the BOS or nothing)
/// or add_eos_token what comes after it. A setting that asks for a token without a name leaves what `otherwise` has
/// there; Error where that is nothing.
AddedAround added_around(const SideFiles& files, const NamedTokens& named, AddedAround otherwise);

}  // namespace attnlab::model::tokenizer_parts
