// See the header.
#include "model/tokenizer_huggingface.h"

#include <map>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "model/strict_json.h"
#include "model/tokenizer_added.h"
#include "model/tokenizer_bpe.h"
#include "model/tokenizer_decoder.h"
#include "model/tokenizer_json.h"
#include "model/tokenizer_normalizer.h"
#include "model/tokenizer_postprocessor.h"
#include "model/tokenizer_pretokenizer.h"
#include "model/tokenizer_utf8.h"

namespace attnlab::model::tokenizer_parts {
namespace {

constexpr std::size_t kMaxFileBytes = std::size_t{256} << 20;  // Gemma's, the largest, has 33 MB

class HuggingFaceTokenizer final : public Tokenizer {
 public:
  /// `config`: the tokenizer_config.json, if there is one.
  HuggingFaceTokenizer(const JsonNode& tokenizer, const std::optional<JsonNode>& config) : bpe_(tokenizer.at("model")) {
    if (const auto node = tokenizer.find("normalizer")) normalizer_ = parse_normalizer(*node);
    if (const auto node = tokenizer.find("pre_tokenizer")) pre_tokenizer_ = parse_pre_tokenizer(*node);
    if (const auto node = tokenizer.find("decoder")) decoder_ = Decoder(*node);
    const std::vector<AddedToken> added = parse_added_tokens(tokenizer, config);
    number_tokens(tokenizer, added);
    for (const AddedToken& token : added) {
      if (token.normalized) {
        added_normalized_.add(token, normalize(token.content));
      } else {
        added_.add(token, token.content);
      }
    }
    if (const auto node = tokenizer.find("post_processor")) post_processor_ = PostProcessor(*node, vocab_size());
    if (config) read_config(*config, added);
  }

  std::vector<TokenId> encode(std::string_view text) const override {
    require_encodable(text);
    std::vector<TokenId> ids;
    Bpe::Scratch scratch;
    for (const Segment& outer : added_.split(text)) {
      if (outer.id) {
        ids.push_back(*outer.id);
        continue;
      }
      const std::string normalized = normalize(std::string(text.substr(outer.begin, outer.end - outer.begin)));
      for (const Segment& inner : added_normalized_.split(normalized)) {
        if (inner.id) {
          ids.push_back(*inner.id);
          continue;
        }
        std::vector<Piece> pieces{
            {normalized.substr(inner.begin, inner.end - inner.begin), outer.begin == 0 && inner.begin == 0}};
        if (pre_tokenizer_) pre_tokenizer_->apply(pieces);
        for (const Piece& piece : pieces) bpe_.encode(piece.text, scratch, ids);
      }
    }
    return ids;
  }

  std::vector<TokenId> encode_with_special(std::string_view text) const override {
    std::vector<TokenId> ids = post_processor_.apply(encode(text));
    // What the config says explicitly beats the template, as in the classes that own these two settings.
    const bool has_bos = bos_ && !ids.empty() && ids.front() == *bos_;
    if (add_bos_.value_or(has_bos) != has_bos && bos_)
      has_bos ? ids.erase(ids.begin()) : ids.insert(ids.begin(), *bos_);
    const bool has_eos = eos_ && !ids.empty() && ids.back() == *eos_;
    if (add_eos_.value_or(has_eos) != has_eos && eos_) has_eos ? ids.pop_back() : ids.push_back(*eos_);
    return ids;
  }

  std::string decode(std::span<const TokenId> ids) const override {
    Decoding decoding = decoder_.start();
    std::string text;
    for (const TokenId id : ids) text += decoding.push(token(id));
    return text += decoding.finish();
  }

  std::unique_ptr<StreamDecoder> stream() const override { return std::make_unique<Stream>(*this); }

  int vocab_size() const override { return static_cast<int>(tokens_.size()); }
  std::optional<TokenId> bos() const override { return bos_; }
  std::optional<TokenId> eos() const override { return eos_; }

 private:
  class Stream final : public StreamDecoder {
   public:
    explicit Stream(const HuggingFaceTokenizer& tokenizer)
        : tokenizer_(tokenizer), decoding_(tokenizer.decoder_.start()) {}
    std::string push(TokenId id) override { return decoding_.push(tokenizer_.token(id)); }
    std::string finish() override { return decoding_.finish(); }

   private:
    const HuggingFaceTokenizer& tokenizer_;
    Decoding decoding_;
  };

  std::string normalize(std::string text) const { return normalizer_ ? normalizer_->apply(std::move(text)) : text; }

  const std::string& token(TokenId id) const {
    require_token(id, vocab_size());
    return tokens_[static_cast<std::size_t>(id)];
  }

  // Vocabulary and added tokens together must use every id from 0 once.
  void number_tokens(const JsonNode& tokenizer, const std::vector<AddedToken>& added) {
    std::vector<std::pair<const std::string*, TokenId>> all;
    for (const auto& [token, id] : bpe_.vocabulary()) all.emplace_back(&token, id);
    for (const AddedToken& token : added) {
      const auto id = bpe_.find(token.content);
      if (!id) {
        all.emplace_back(&token.content, token.id);
      } else if (*id != token.id) {
        tokenizer.refuse("gives the added token " + in_quotes(token.content) + " the id " + std::to_string(token.id) +
                         ", but " + std::to_string(*id) + " in model.vocab");
      }
    }
    if (all.empty()) tokenizer.refuse("has no tokens");
    tokens_.resize(all.size());
    std::vector<const std::string*> owner(all.size());
    for (const auto& [token, id] : all) {
      const auto index = static_cast<std::size_t>(id);
      if (index >= all.size()) {
        tokenizer.refuse("has " + std::to_string(all.size()) + " tokens, but " + in_quotes(*token) + " has the id " +
                             std::to_string(id),
                         "ids must run from 0 without holes");
      }
      if (owner[index] != nullptr) {
        tokenizer.refuse("gives the id " + std::to_string(id) + " to both " + in_quotes(*owner[index]) + " and " +
                         in_quotes(*token));
      }
      owner[index] = token;
      tokens_[index] = *token;
    }
  }

  void read_config(const JsonNode& config, const std::vector<AddedToken>& added) {
    const auto special = [&](const std::string& key) -> std::optional<TokenId> {
      const auto field = config.find(key);
      if (!field) return std::nullopt;
      // Either the token itself or an object that describes it.
      const std::string content = field->value().is_object() ? field->at("content").string() : field->string();
      for (const AddedToken& token : added) {
        if (token.content == content) return token.id;
      }
      if (const auto id = bpe_.find(content)) return id;
      field->refuse("is " + in_quotes(content) + ", which is not in the vocabulary");
    };
    const auto setting = [&](const std::string& key) -> std::optional<bool> {
      const auto field = config.find(key);
      if (!field) return std::nullopt;
      return field->boolean();
    };
    bos_ = special("bos_token");
    eos_ = special("eos_token");
    add_bos_ = setting("add_bos_token");
    add_eos_ = setting("add_eos_token");
  }

  Bpe bpe_;
  std::unique_ptr<Normalizer> normalizer_;       // null: none
  std::unique_ptr<PreTokenizer> pre_tokenizer_;  // null: the whole text is one piece
  Decoder decoder_;
  PostProcessor post_processor_;
  AddedTokenFinder added_;             // looked for in the text
  AddedTokenFinder added_normalized_;  // looked for in the normalized text
  std::vector<std::string> tokens_;    // by id
  std::optional<TokenId> bos_;
  std::optional<TokenId> eos_;
  std::optional<bool> add_bos_;
  std::optional<bool> add_eos_;
};

}  // namespace

std::unique_ptr<Tokenizer> load_huggingface_tokenizer(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / "tokenizer.json";
  const nlohmann::json tokenizer = read_strict_json(file, kMaxFileBytes);
  const std::filesystem::path config_file = folder / "tokenizer_config.json";
  std::error_code ignored;
  if (!std::filesystem::exists(config_file, ignored)) {
    return std::make_unique<HuggingFaceTokenizer>(JsonNode(tokenizer, file.string()), std::nullopt);
  }
  const nlohmann::json config = read_strict_json(config_file, kMaxFileBytes);
  return std::make_unique<HuggingFaceTokenizer>(JsonNode(tokenizer, file.string()),
                                                JsonNode(config, config_file.string()));
}

}  // namespace attnlab::model::tokenizer_parts
