// Text to token ids and back, so that a checkpoint's folder is all a command needs: `generate`, `tokenize`,
// `logits --prompt` and perplexity read the tokenizer files a model was published with and get its own ids.
// Two formats: tokenizer.json of type BPE (here; Oniguruma for its regular expressions, ICU for Unicode's tables) and
// tokenizer.model (through libsentencepiece). Model YAMLs without files get one token per byte.
// Not here: chat templates, training a tokenizer, padding and truncation of batches.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <attnlab/api.h>

namespace attnlab::model {

using TokenId = std::int32_t;

/// Text of a growing list of ids, for `generate`: every piece is complete UTF-8, and the pieces of push(), in
/// order, followed by finish(), are exactly decode() of all ids. One thread; must not outlive its tokenizer.
class ATTNLAB_API StreamDecoder {
 public:
  virtual ~StreamDecoder();
  /// The text that is certain once `id` is known; may be empty, may hold text of earlier ids.
  /// Throws attnlab::Error for an id outside the vocabulary.
  virtual std::string push(TokenId id) = 0;
  /// What was still held back. Call once, last.
  virtual std::string finish() = 0;
};

/// Immutable after loading; every method may be called by any number of threads at once.
class ATTNLAB_API Tokenizer {
 public:
  virtual ~Tokenizer();

  /// Ids of the text and nothing else: no BOS, no EOS, but those that are written in it as special tokens are.
  /// Throws attnlab::Error for text that is not UTF-8.
  [[nodiscard]] virtual std::vector<TokenId> encode(std::string_view text) const = 0;
  /// What the tokenizer itself puts before and after a prompt: BOS, EOS, a template's tokens.
  [[nodiscard]] virtual std::span<const TokenId> before_prompt() const = 0;
  [[nodiscard]] virtual std::span<const TokenId> after_prompt() const = 0;
  /// before_prompt(), encode(text), after_prompt().
  [[nodiscard]] std::vector<TokenId> encode_with_special(std::string_view text) const;
  /// Whether prompts and windows begin with bos().
  [[nodiscard]] bool adds_bos() const;

  /// Special tokens of a tokenizer.json and added tokens stay in the text; control pieces of a tokenizer.model have
  /// none, and neither has an id that no token has. Bytes that are not UTF-8 become U+FFFD.
  /// Throws attnlab::Error for an id outside the vocabulary.
  [[nodiscard]] virtual std::string decode(std::span<const TokenId> ids) const = 0;
  [[nodiscard]] virtual std::unique_ptr<StreamDecoder> stream() const = 0;

  /// Valid ids are 0 .. vocab_size() - 1; not all of them need to have a token. The model's own vocab_size may be
  /// larger (padded embeddings).
  [[nodiscard]] virtual int vocab_size() const = 0;
  [[nodiscard]] virtual std::optional<TokenId> bos() const = 0;
  [[nodiscard]] virtual std::optional<TokenId> eos() const = 0;
};

/// Reads tokenizer.json if the folder has one, else tokenizer.model; with either, tokenizer_config.json,
/// special_tokens_map.json and added_tokens.json (names of special tokens, add_bos_token, add_eos_token, added tokens).
/// A tokenizer.json with a part of a kind that is not supported gives way to a tokenizer.model that has its tokens.
/// No other file of the folder is opened. Of a GGUF file it is the tokenizer that its keys describe.
/// Throws attnlab::Error with the file's path for what is missing, malformed or of a kind that is not supported.
[[nodiscard]] ATTNLAB_API std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& folder);

/// The files of a folder that say how its model's text is cut, and how it is continued; none where it has none.
[[nodiscard]] ATTNLAB_API std::vector<std::filesystem::path> tokenizer_files(const std::filesystem::path& folder);

/// One token per byte: ids 0 .. 255 are the bytes, 256 is BOS, 257 is EOS, each if vocab_size allows; higher ids
/// have no meaning and decode to U+FFFD. With fewer than 256 ids, encode() throws attnlab::Error for a byte that
/// has none (128 ids are enough for ASCII). vocab_size must be positive, else attnlab::Error.
[[nodiscard]] ATTNLAB_API std::unique_ptr<Tokenizer> byte_tokenizer(int vocab_size);

}  // namespace attnlab::model
