#include "model/tokenizers/gguf_tokenizer.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <attnlab/error.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "model/checkpoints/gguf_file.h"
#include "model/checkpoints/gguf_names.h"
#include "model/checkpoints/strict_json.h"
#include "model/tokenizers/huggingface.h"
#include "model/tokenizers/sentencepiece.h"
#include "model/tokenizers/side_files.h"

namespace attnlab::model::tokenizer_parts {
namespace {

using nlohmann::json;

// What a token is; the numbers are those of sentencepiece, too.
enum TokenType : std::int64_t { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };

constexpr const char* kRemedy = "convert the model again";

// The keys below "tokenizer.ggml.".
class Keys {
 public:
  explicit Keys(const GgufFile& gguf) : gguf_(gguf) {}

  [[nodiscard]] std::string where() const { return gguf_.file.path().string(); }
  [[noreturn]] void refuse(std::string_view key, const std::string& what, const std::string& remedy = {}) const {
    throw Error(where(), fmt::format("tokenizer.ggml.{}: {}", key, what), remedy);
  }
  [[nodiscard]] const json* find(std::string_view key) const {
    const auto found = gguf_.keys.find("tokenizer.ggml." + std::string(key));
    return found == gguf_.keys.end() ? nullptr : &*found;
  }
  [[nodiscard]] std::string text(std::string_view key) const {
    const json* const found = find(key);
    if (found == nullptr) refuse(key, "is missing", kRemedy);
    if (!found->is_string()) refuse(key, fmt::format("{} is no text", shown(*found)), kRemedy);
    return found->get<std::string>();
  }
  [[nodiscard]] bool flag(std::string_view key, bool absent) const {
    const json* const found = find(key);
    if (found == nullptr) return absent;
    if (!found->is_boolean()) refuse(key, fmt::format("{} is neither true nor false", shown(*found)), kRemedy);
    return found->get<bool>();
  }
  [[nodiscard]] std::vector<std::string> texts(std::string_view key) const {
    std::vector<std::string> all;
    for (const json& value : list(key)) {
      if (!value.is_string()) refuse(key, fmt::format("{} is no text", shown(value)), kRemedy);
      all.push_back(value.get<std::string>());
    }
    return all;
  }
  [[nodiscard]] std::vector<float> numbers(std::string_view key) const {
    std::vector<float> all;
    for (const json& value : list(key)) {
      if (!value.is_number() || !std::isfinite(value.get<double>()))
        refuse(key, fmt::format("{} is no number", shown(value)), kRemedy);
      all.push_back(value.get<float>());
    }
    return all;
  }
  [[nodiscard]] std::vector<std::int64_t> types() const {
    std::vector<std::int64_t> all;
    for (const json& value : list("token_type")) {
      if (!value.is_number_integer() || value < 1 || value > 6)
        refuse("token_type", fmt::format("{} is no type of a token", shown(value)), "1 to 6 are");
      all.push_back(value.get<std::int64_t>());
    }
    return all;
  }
  // None where the key is not there.
  [[nodiscard]] std::optional<TokenId> id(std::string_view key, std::size_t count) const {
    const json* const found = find(key);
    if (found == nullptr) return std::nullopt;
    if (!found->is_number_integer() || *found < 0 || *found >= count)
      refuse(key, fmt::format("{} is no id of a token", shown(*found)), fmt::format("there are {} tokens", count));
    return found->get<TokenId>();
  }

 private:
  [[nodiscard]] const json& list(std::string_view key) const {
    const json* const found = find(key);
    if (found == nullptr) refuse(key, "is missing", kRemedy);
    if (!found->is_array()) refuse(key, fmt::format("{} is no list", shown(*found)), kRemedy);
    return *found;
  }

  const GgufFile& gguf_;
};

struct Vocabulary {
  std::vector<std::string> tokens;
  std::vector<std::int64_t> types;
  std::optional<TokenId> bos, eos, unk, pad;
};

Vocabulary read_vocabulary(const Keys& keys, const GgufFile& gguf) {
  Vocabulary read{.tokens = keys.texts("tokens"), .types = {}, .bos = {}, .eos = {}, .unk = {}, .pad = {}};
  const std::size_t count = read.tokens.size();
  if (count == 0) keys.refuse("tokens", "is empty", "a vocabulary has at least one token");
  if (const TensorInfo* rows = find_tensor(gguf, "token_embd.weight");
      rows != nullptr && std::cmp_not_equal(rows->shape.front(), count))
    keys.refuse("tokens", fmt::format("has {} tokens, and token_embd.weight {} rows", count, rows->shape.front()),
                "one for each");
  read.types = keys.types();
  if (read.types.size() != count)
    keys.refuse("token_type", fmt::format("has {} elements for {} tokens", read.types.size(), count), "one for each");
  read.bos = keys.id("bos_token_id", count);
  read.eos = keys.id("eos_token_id", count);
  read.unk = keys.id("unknown_token_id", count);
  read.pad = keys.id("padding_token_id", count);
  return read;
}

json added_token(const std::string& content, bool is_special) {
  return {{"content", content}, {"special", is_special}, {"single_word", false},
          {"lstrip", false},    {"rstrip", false},       {"normalized", false}};
}

// Whether a token is cut out of a text before anything else is done with it.
bool is_cut_out(std::int64_t type) {
  return type == TokenType::control || type == TokenType::user_defined;
}

// What a tokenizer_config.json would say of special tokens. One of type normal is only known by its id: named, it would
// be cut out of texts.
json side_config(const Keys& keys, const Vocabulary& vocabulary, bool adds_bos) {
  json config = json::object();
  const auto name = [&](const char* key, std::optional<TokenId> id) {
    if (!id) return;
    const std::int64_t type = vocabulary.types[static_cast<std::size_t>(*id)];
    if (is_cut_out(type) || type == TokenType::unknown)
      config[key] = vocabulary.tokens[static_cast<std::size_t>(*id)];
    else if (std::string_view(key) == "bos_token" || std::string_view(key) == "eos_token")
      keys.refuse(fmt::format("{}_id", key), fmt::format("{} is a token of texts (type {})", *id, type),
                  "the first and the last token must be of type 3 (control) or 4");
  };
  name("bos_token", vocabulary.bos);
  name("eos_token", vocabulary.eos);
  name("unk_token", vocabulary.unk);
  name("pad_token", vocabulary.pad);
  const auto add = [&](const char* key, const char* of, std::optional<TokenId> id, bool absent) {
    config[key] = keys.flag(key, absent && id);
    if (config[key] == true && !id) keys.refuse(key, fmt::format("is true, and there is no {}", of), "name its id");
  };
  add("add_bos_token", "bos_token_id", vocabulary.bos, adds_bos);
  add("add_eos_token", "eos_token_id", vocabulary.eos, false);
  json added = json::object();
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id)
    if (is_cut_out(vocabulary.types[id]) && !vocabulary.tokens[id].empty())
      added[std::to_string(id)] = added_token(vocabulary.tokens[id], vocabulary.types[id] == TokenType::control);
  config["added_tokens_decoder"] = std::move(added);
  return config;
}

// A message of protobuf, field by field.
class Message {
 public:
  void integer(int field, std::uint64_t value) {
    key(field, 0);
    varint(value);
  }
  void real(int field, float value) {
    key(field, 5);
    const auto bits = std::bit_cast<std::uint32_t>(value);
    for (int shift = 0; shift < 32; shift += 8) bytes_ += static_cast<char>(bits >> shift);
  }
  void bytes(int field, std::string_view value) {
    key(field, 2);
    varint(value.size());
    bytes_ += value;
  }
  [[nodiscard]] const std::string& text() const { return bytes_; }

 private:
  void key(int field, int wire) { varint(static_cast<std::uint64_t>(field) << 3 | static_cast<std::uint64_t>(wire)); }
  void varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>(value | 0x80);
    bytes_ += static_cast<char>(value);
  }

  std::string bytes_;
};

// What sentencepiece would refuse without naming a key: every piece has a text of its own, one is the unknown one, and
// bytes are all there or none.
void check_pieces(const Keys& keys, const Vocabulary& vocabulary) {
  std::set<std::string_view> seen;
  std::set<std::string> bytes;
  int unknown = 0;
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const std::string& token = vocabulary.tokens[id];
    if (token.empty()) keys.refuse("tokens", fmt::format("token {} is empty", id), "every token has a text");
    if (!seen.insert(token).second)
      keys.refuse("tokens", fmt::format("{} comes twice, the second time as token {}", in_quotes(token), id),
                  "every token has a text of its own");
    if (vocabulary.types[id] == TokenType::unknown) ++unknown;
    if (vocabulary.types[id] == TokenType::byte) bytes.insert(token);
  }
  if (unknown != 1) keys.refuse("token_type", fmt::format("{} tokens are of type 2 (unknown)", unknown), "one must be");
  for (int value = 0; !bytes.empty() && value < 256; ++value)
    if (const std::string name = fmt::format("<0x{:02X}>", value); !bytes.contains(name))
      keys.refuse("token_type", fmt::format("{} is not among the tokens of type 6 (byte)", name),
                  "all 256 bytes must be, or none");
}

// A tokenizer.model: pieces (1), trainer_spec (2), normalizer_spec (3).
std::string sentencepiece_model(const Keys& keys, const Vocabulary& vocabulary) {
  const std::vector<float> scores = keys.numbers("scores");
  if (scores.size() != vocabulary.tokens.size())
    keys.refuse("scores", fmt::format("has {} elements for {} tokens", scores.size(), vocabulary.tokens.size()),
                "one for each");
  check_pieces(keys, vocabulary);
  Message model;
  bool has_bytes = false;
  std::optional<TokenId> unk = vocabulary.unk;
  for (std::size_t id = 0; id < scores.size(); ++id) {
    Message piece;
    piece.bytes(1, vocabulary.tokens[id]);
    piece.real(2, scores[id]);
    // What is cut out before is a piece like others, so that it is decoded as its text.
    const bool is_text = vocabulary.types[id] == TokenType::user_defined;
    piece.integer(3, static_cast<std::uint64_t>(is_text ? TokenType::normal : vocabulary.types[id]));
    model.bytes(1, piece.text());
    has_bytes = has_bytes || vocabulary.types[id] == TokenType::byte;
    if (!unk && vocabulary.types[id] == TokenType::unknown) unk = static_cast<TokenId>(id);
  }
  Message trainer;
  constexpr std::uint64_t bpe = 2;
  trainer.integer(3, bpe);
  trainer.integer(35, has_bytes ? 1 : 0);  // byte_fallback
  const auto name = [&](int field, std::optional<TokenId> id) {
    if (id) trainer.bytes(field, vocabulary.tokens[static_cast<std::size_t>(*id)]);
  };
  name(45, unk);
  name(46, vocabulary.bos);
  name(47, vocabulary.eos);
  name(48, vocabulary.pad);
  model.bytes(2, trainer.text());
  Message normalizer;
  normalizer.bytes(1, "identity");
  normalizer.integer(3, keys.flag("add_space_prefix", true) ? 1 : 0);
  normalizer.integer(4, 0);  // remove_extra_whitespaces
  normalizer.integer(5, 1);  // escape_whitespaces
  model.bytes(3, normalizer.text());
  return model.text();
}

json byte_level(bool splits) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", false}, {"use_regex", splits}};
}

json pre_tokenizer(const Keys& keys) {
  const std::string name = keys.text("pre");
  if (name == "gpt-2") return byte_level(true);
  if (name != "qwen2")
    keys.refuse("pre", fmt::format("{} is not supported", in_quotes(name)), "supported are gpt-2 and qwen2");
  constexpr const char* pattern =
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  const json split{{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}, {"invert", false}};
  return {{"type", "Sequence"}, {"pretokenizers", {split, byte_level(false)}}};
}

// A tokenizer.json.
json byte_level_bpe(const Keys& keys, const Vocabulary& vocabulary) {
  json tokens = json::object(), added = json::array();
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const std::string& token = vocabulary.tokens[id];
    const std::int64_t type = vocabulary.types[id];
    if (type == TokenType::unused) continue;
    if (is_cut_out(type)) {
      json one = added_token(token, type == TokenType::control);
      one["id"] = id;
      added.push_back(std::move(one));
    } else if (!tokens.emplace(token, id).second) {
      keys.refuse("tokens", fmt::format("{} comes twice", in_quotes(token)), "every token has a text of its own");
    }
  }
  const std::vector<std::string> merges = keys.texts("merges");
  for (const std::string& merge : merges) {
    const std::size_t space = merge.find(' ');
    if (space == 0 || space == merge.npos || space + 1 == merge.size() || merge.find(' ', space + 1) != merge.npos)
      keys.refuse("merges", fmt::format("{} is no pair of tokens", in_quotes(merge)),
                  "write them with a space between");
    for (const std::string& part :
         {merge.substr(0, space), merge.substr(space + 1), merge.substr(0, space) + merge.substr(space + 1)})
      if (!tokens.contains(part))
        keys.refuse("merges", fmt::format("{} of {} is no token", in_quotes(part), in_quotes(merge)),
                    "both parts and what they become must be tokens of type 1");
  }
  return {{"version", "1.0"},
          {"added_tokens", added},
          {"normalizer", nullptr},
          {"pre_tokenizer", pre_tokenizer(keys)},
          {"post_processor", nullptr},
          {"decoder", byte_level(true)},
          {"model", {{"type", "BPE"}, {"vocab", std::move(tokens)}, {"merges", merges}}}};
}

}  // namespace

std::unique_ptr<Tokenizer> load_gguf_tokenizer(const std::filesystem::path& file) {
  const GgufFile gguf = open_gguf(file);
  const Keys keys(gguf);
  const std::string kind = keys.text("model");
  if (kind != "llama" && kind != "gpt2")
    keys.refuse("model", fmt::format("{} is not supported", in_quotes(kind)), "supported are llama and gpt2");
  const Vocabulary vocabulary = read_vocabulary(keys, gguf);
  const bool is_sentencepiece = kind == "llama";
  json config = side_config(keys, vocabulary, is_sentencepiece);
  if (is_sentencepiece) {
    config["add_prefix_space"] = keys.flag("add_space_prefix", true);
    return sentencepiece_tokenizer(sentencepiece_model(keys, vocabulary), keys.where(),
                                   SideFiles(config.dump(), keys.where()));
  }
  return huggingface_tokenizer(byte_level_bpe(keys, vocabulary).dump(), keys.where(),
                               SideFiles(config.dump(), keys.where()));
}

}  // namespace attnlab::model::tokenizer_parts
