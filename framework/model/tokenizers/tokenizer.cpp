// Which tokenizer a folder has, and the one that needs no folder.
#include "model/tokenizers/tokenizer.h"

#include <array>
#include <cstdio>
#include <system_error>

#include <attnlab/error.h>

#include "model/checkpoints/checkpoint_folder.h"
#include "model/checkpoints/gguf_file.h"
#include "model/tokenizers/gguf_tokenizer.h"
#include "model/tokenizers/huggingface.h"
#include "model/tokenizers/sentencepiece.h"
#include "model/tokenizers/side_files.h"
#include "model/tokenizers/utf8.h"

namespace attnlab::model {

using namespace tokenizer_parts;

namespace {

// generation_config.json says which tokens end a text.
constexpr std::array kTokenizerFiles{"tokenizer.json",    "tokenizer.model",     "tokenizer_config.json",
                                     "added_tokens.json", "vocab.json",          "special_tokens_map.json",
                                     "merges.txt",        "chat_template.jinja", "generation_config.json"};

constexpr TokenId kByteBos = 256;
constexpr TokenId kByteEos = 257;

class ByteTokenizer final : public Tokenizer {
 public:
  explicit ByteTokenizer(int vocab_size) : vocab_size_(vocab_size) {}

  std::vector<TokenId> encode(std::string_view text) const override {
    require_encodable(text);
    std::vector<TokenId> ids;
    for (std::size_t at = 0; at < text.size(); ++at) {
      const TokenId id = static_cast<unsigned char>(text[at]);
      if (id >= vocab_size_) {
        char byte[8];
        std::snprintf(byte, sizeof byte, "0x%02X", static_cast<unsigned>(id));
        throw Error("",
                    "byte " + std::string(byte) + " at offset " + std::to_string(at) +
                        " of the text has no token: " + "the vocabulary ends at " + std::to_string(vocab_size_ - 1),
                    "give token ids, or a vocab_size of at least 256");
      }
      ids.push_back(id);
    }
    return ids;
  }

  std::span<const TokenId> before_prompt() const override { return {&kByteBos, bos() ? 1U : 0U}; }
  std::span<const TokenId> after_prompt() const override { return {}; }

  std::string decode(std::span<const TokenId> ids) const override {
    Stream stream(vocab_size_);
    std::string text;
    for (const TokenId id : ids) text += stream.push(id);
    return text += stream.finish();
  }

  std::unique_ptr<StreamDecoder> stream() const override { return std::make_unique<Stream>(vocab_size_); }

  int vocab_size() const override { return vocab_size_; }
  std::optional<TokenId> bos() const override { return if_there(kByteBos); }
  std::optional<TokenId> eos() const override { return if_there(kByteEos); }

 private:
  class Stream final : public StreamDecoder {
   public:
    explicit Stream(int vocab_size) : vocab_size_(vocab_size) {}
    std::string push(TokenId id) override {
      require_token(id, vocab_size_);
      if (id < 256) return utf8_.push(std::string(1, static_cast<char>(id)));
      // A character cannot go on after a token that is no byte.
      const std::string cut_off = utf8_.finish();
      return id <= kByteEos ? cut_off : cut_off + std::string(kReplacementCharacter);
    }
    std::string finish() override { return utf8_.finish(); }

   private:
    int vocab_size_;
    LossyUtf8 utf8_;
  };

  std::optional<TokenId> if_there(TokenId id) const {
    return id < vocab_size_ ? std::optional<TokenId>(id) : std::nullopt;
  }

  int vocab_size_;
};

}  // namespace

StreamDecoder::~StreamDecoder() = default;
Tokenizer::~Tokenizer() = default;

std::vector<TokenId> Tokenizer::encode_with_special(std::string_view text) const {
  const std::span<const TokenId> before = before_prompt();
  const std::span<const TokenId> after = after_prompt();
  std::vector<TokenId> ids = encode(text);
  ids.insert(ids.begin(), before.begin(), before.end());
  ids.insert(ids.end(), after.begin(), after.end());
  return ids;
}

bool Tokenizer::adds_bos() const {
  return !before_prompt().empty() && bos() == before_prompt().front();
}

std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& folder) {
  if (is_gguf(folder)) return load_gguf_tokenizer(folder);
  std::error_code ignored;  // a path that cannot be looked at has no tokenizer
  if (!std::filesystem::is_directory(folder, ignored)) {
    throw Error(folder.string(), "is no folder", "expected a model folder with tokenizer.json or tokenizer.model");
  }
  const std::filesystem::path json = folder / "tokenizer.json";
  const std::filesystem::path sentencepiece = folder / "tokenizer.model";
  const SideFiles files(folder);
  const bool has_sentencepiece = is_there(sentencepiece);
  if (!is_there(json)) {
    if (has_sentencepiece) return load_sentencepiece_tokenizer(sentencepiece, files);
    throw Error(folder.string(), "has no tokenizer", "expected tokenizer.json or tokenizer.model in this folder");
  }
  try {
    return load_huggingface_tokenizer(json, files);
  } catch (const UnsupportedKind&) {
    if (!has_sentencepiece) throw;
    if (auto tokenizer = load_sentencepiece_tokenizer_of(sentencepiece, json, files)) return tokenizer;
    throw;
  }
}

std::vector<std::filesystem::path> tokenizer_files(const std::filesystem::path& folder) {
  if (is_gguf(folder)) return {folder};
  std::vector<std::filesystem::path> files;
  for (const char* name : kTokenizerFiles)
    if (std::filesystem::is_regular_file(folder / name)) files.push_back(folder / name);
  return files;
}

std::unique_ptr<Tokenizer> byte_tokenizer(int vocab_size) {
  if (vocab_size <= 0) {
    throw Error("", "vocab_size is " + std::to_string(vocab_size), "a vocabulary has at least one token");
  }
  return std::make_unique<ByteTokenizer>(vocab_size);
}

}  // namespace attnlab::model
