// See the header.
#include "model/tokenizer_huggingface.h"

#include <algorithm>
#include <optional>
#include <string>
#include <unordered_map>
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

// "truncation" and "padding" are for batches; everything else of the file is read.
void check_version(const JsonNode& tokenizer) {
  tokenizer.has_only({"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer",
                      "post_processor", "decoder", "model"});
  const auto version = tokenizer.find("version");
  if (version && version->string() != "1.0") version->refuse("is " + in_quotes(version->string()), "expected \"1.0\"");
}

class HuggingFaceTokenizer final : public Tokenizer {
 public:
  HuggingFaceTokenizer(const JsonNode& tokenizer, const SideFiles& files) : bpe_(tokenizer.at("model")) {
    check_version(tokenizer);
    if (const auto node = tokenizer.find("normalizer")) normalizer_ = parse_normalizer(*node);
    if (const auto node = tokenizer.find("pre_tokenizer")) pre_tokenizer_ = parse_pre_tokenizer(*node);
    if (const auto node = tokenizer.find("decoder")) decoder_ = Decoder(*node);
    number_tokens(tokenizer, bpe_.vocabulary());
    const NamedTokens named = name_tokens(
        tokenizer.find("added_tokens"), files, [this](const std::string& token) { return bpe_.find(token); },
        vocab_size_);
    for (const AddedToken& token : named.added) {
      if (!bpe_.find(token.content)) number_token(tokenizer, token.content, token.id);
      // What was normalized on the way in is decoded from its normal form.
      const std::string spelling = token.normalized ? normalize(token.content) : token.content;
      tokens_[token.id] = spelling;
      (token.normalized ? added_normalized_ : added_).add(token, spelling);
    }
    if (vocab_size_ == 0) tokenizer.refuse("has no tokens");
    AddedAround around;
    if (const auto node = tokenizer.find("post_processor")) around = parse_post_processor(*node, vocab_size_);
    around_ = added_around(files, named, std::move(around));
    // A file that does not say what its BOS is called may still put it before every prompt.
    bos_ = named.bos || around_.before.empty() ? named.bos : around_.before.front();
    eos_ = named.eos || around_.after.empty() ? named.eos : around_.after.back();
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

  std::string decode(std::span<const TokenId> ids) const override {
    Stream stream(*this);
    std::string text;
    for (const TokenId id : ids) text += stream.push(id);
    return text += stream.finish();
  }

  std::unique_ptr<StreamDecoder> stream() const override { return std::make_unique<Stream>(*this); }

  std::span<const TokenId> before_prompt() const override { return around_.before; }
  std::span<const TokenId> after_prompt() const override { return around_.after; }
  int vocab_size() const override { return vocab_size_; }
  std::optional<TokenId> bos() const override { return bos_; }
  std::optional<TokenId> eos() const override { return eos_; }

 private:
  class Stream final : public StreamDecoder {
   public:
    explicit Stream(const HuggingFaceTokenizer& tokenizer)
        : tokenizer_(tokenizer), decoding_(tokenizer.decoder_.start()) {}
    // An id that no token has is left out, as in the Hugging Face library.
    std::string push(TokenId id) override {
      require_token(id, tokenizer_.vocab_size_);
      const auto token = tokenizer_.tokens_.find(id);
      return token == tokenizer_.tokens_.end() ? std::string() : decoding_.push(token->second);
    }
    std::string finish() override { return decoding_.finish(); }

   private:
    const HuggingFaceTokenizer& tokenizer_;
    Decoding decoding_;
  };

  std::string normalize(std::string text) const { return normalizer_ ? normalizer_->apply(std::move(text)) : text; }

  // Ids may have holes: published vocabularies do.
  void number_token(const JsonNode& tokenizer, const std::string& token, TokenId id) {
    const auto [owner, is_new] = tokens_.emplace(id, token);
    if (!is_new) {
      tokenizer.refuse("gives the id " + std::to_string(id) + " to both " + in_quotes(owner->second) + " and " +
                       in_quotes(token));
    }
    vocab_size_ = std::max(vocab_size_, id + 1);
  }
  void number_tokens(const JsonNode& tokenizer, const Vocabulary& vocabulary) {
    tokens_.reserve(vocabulary.size());
    for (const auto& [token, id] : vocabulary) number_token(tokenizer, token, id);
  }

  Bpe bpe_;
  std::unique_ptr<Normalizer> normalizer_;       // null: none
  std::unique_ptr<PreTokenizer> pre_tokenizer_;  // null: the whole text is one piece
  Decoder decoder_;
  AddedTokenFinder added_;                           // looked for in the text
  AddedTokenFinder added_normalized_;                // looked for in the normalized text
  std::unordered_map<TokenId, std::string> tokens_;  // by id
  int vocab_size_ = 0;                               // one more than the highest id
  AddedAround around_;
  std::optional<TokenId> bos_;
  std::optional<TokenId> eos_;
};

}  // namespace

std::unique_ptr<Tokenizer> load_huggingface_tokenizer(const std::filesystem::path& file, const SideFiles& files) {
  const nlohmann::json tokenizer = read_strict_json(file, kMaxTokenizerBytes);
  return std::make_unique<HuggingFaceTokenizer>(JsonNode(tokenizer, file.string()), files);
}

}  // namespace attnlab::model::tokenizer_parts
