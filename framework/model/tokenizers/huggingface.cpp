// See the header.
#include "model/tokenizers/huggingface.h"

#include <algorithm>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "model/checkpoints/strict_json.h"
#include "model/tokenizers/added.h"
#include "model/tokenizers/bpe.h"
#include "model/tokenizers/decoder.h"
#include "model/tokenizers/json.h"
#include "model/tokenizers/normalizer.h"
#include "model/tokenizers/postprocessor.h"
#include "model/tokenizers/pretokenizer.h"
#include "model/tokenizers/utf8.h"

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
    const Vocabulary& vocabulary = bpe_.vocabulary();
    vocab_size_ = vocabulary.end();
    const NamedTokens named = name_tokens(
        tokenizer.find("added_tokens"), files, [&](const std::string& token) { return vocabulary.id_of(token); },
        vocab_size_);
    for (const AddedToken& token : named.added) {
      if (!vocabulary.id_of(token.content)) require_free(tokenizer, token);
      vocab_size_ = std::max(vocab_size_, token.id + 1);
      // What was normalized on the way in is decoded from its normal form.
      const std::string spelling = token.normalized ? normalize(token.content) : token.content;
      added_texts_[token.id] = spelling;
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
      const auto token = tokenizer_.text_of(id);
      return token ? decoding_.push(*token) : std::string();
    }
    std::string finish() override { return decoding_.finish(); }

   private:
    const HuggingFaceTokenizer& tokenizer_;
    Decoding decoding_;
  };

  std::string normalize(std::string text) const { return normalizer_ ? normalizer_->apply(std::move(text)) : text; }

  std::optional<std::string_view> text_of(TokenId id) const {
    const auto added = added_texts_.find(id);
    return added == added_texts_.end() ? bpe_.vocabulary().token_of(id) : added->second;
  }

  void require_free(const JsonNode& tokenizer, const AddedToken& token) const {
    const auto owner = text_of(token.id);
    if (!owner) return;
    tokenizer.refuse("gives the id " + std::to_string(token.id) + " to both " + in_quotes(*owner) + " and " +
                     in_quotes(token.content));
  }

  Bpe bpe_;
  std::unique_ptr<Normalizer> normalizer_;       // null: none
  std::unique_ptr<PreTokenizer> pre_tokenizer_;  // null: the whole text is one piece
  Decoder decoder_;
  AddedTokenFinder added_;                                // looked for in the text
  AddedTokenFinder added_normalized_;                     // looked for in the normalized text
  std::unordered_map<TokenId, std::string> added_texts_;  // by id; before those of the vocabulary
  int vocab_size_ = 0;                                    // one more than the highest id
  AddedAround around_;
  std::optional<TokenId> bos_;
  std::optional<TokenId> eos_;
};

}  // namespace

std::unique_ptr<Tokenizer> load_huggingface_tokenizer(const std::filesystem::path& file, const SideFiles& files) {
  const JsonDocument tokenizer = JsonDocument::read(file, kMaxTokenizerBytes);
  return std::make_unique<HuggingFaceTokenizer>(JsonNode(tokenizer.root(), file.string()), files);
}

std::unique_ptr<Tokenizer> huggingface_tokenizer(std::string json, const std::string& where, const SideFiles& files) {
  const JsonDocument tokenizer(std::move(json), where);
  return std::make_unique<HuggingFaceTokenizer>(JsonNode(tokenizer.root(), where), files);
}

}  // namespace attnlab::model::tokenizer_parts
