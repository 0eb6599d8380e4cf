// What the tokenizer tests share: where fixtures lie, and tokenizer.json files made up in a temporary folder.
#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <attnlab/error.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/utf8.h"
#include "model/tokenizers/tokenizer.h"

namespace attnlab::model::tokenizer_test {

/// A folder of its own for each object, gone with it.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "attnlab-tokenizer-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  const TemporaryFolder& write(const std::string& file, std::string_view text) const {
    std::ofstream(path_ / file, std::ios::binary) << text;
    return *this;
  }

 private:
  std::filesystem::path path_;
};

inline std::string read_text(const std::filesystem::path& file) {
  std::ostringstream text;
  text << std::ifstream(file, std::ios::binary).rdbuf();
  return text.str();
}

/// A tokenizer.json whose vocabulary holds `tokens` in this order. Piece-by-piece tests use ignore_merges: a piece
/// that is a token becomes its id, any other its characters.
inline nlohmann::json tokenizer_of(const std::vector<std::string>& tokens) {
  nlohmann::json vocab = nlohmann::json::object();
  for (const std::string& token : tokens) vocab[token] = vocab.size();
  return {{"version", "1.0"},
          {"added_tokens", nlohmann::json::array()},
          {"normalizer", nullptr},
          {"pre_tokenizer", nullptr},
          {"post_processor", nullptr},
          {"decoder", nullptr},
          {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", nlohmann::json::array()}}}};
}

inline std::unique_ptr<Tokenizer> load(const nlohmann::json& tokenizer, const nlohmann::json& config = nullptr) {
  const TemporaryFolder folder;
  folder.write("tokenizer.json", tokenizer.dump());
  if (!config.is_null()) folder.write("tokenizer_config.json", config.dump());
  return load_tokenizer(folder.path());
}

/// The message of the attnlab::Error that `call` throws; "" if it throws none.
template <class Call>
std::string error_of(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

using Pieces = std::vector<std::string>;

/// Compares the pieces that `pre_tokenizer` cuts `text` into. Seen from outside: a piece has an id of its own if it is
/// among `expected`; any other falls into its characters.
inline void expect_pieces(const nlohmann::json& pre_tokenizer, const std::string& text, const Pieces& expected) {
  Pieces tokens;
  const auto add = [&](const std::string& token) {
    if (std::find(tokens.begin(), tokens.end(), token) == tokens.end()) tokens.push_back(token);
  };
  for (const std::string& piece : expected) add(piece);
  for (char c = '\t'; c <= '~'; ++c) add(std::string(1, c));
  for (const char* character : {"▁", "Ġ", "Ċ"}) add(character);
  nlohmann::json file = tokenizer_of(tokens);
  file["model"]["ignore_merges"] = true;
  file["pre_tokenizer"] = pre_tokenizer;
  Pieces pieces;
  for (const TokenId id : load(file)->encode(text)) pieces.push_back(tokens[static_cast<std::size_t>(id)]);
  EXPECT_EQ(pieces, expected) << pre_tokenizer << " on " << text;
}

/// All pieces of a stream, joined.
inline std::string streamed(const Tokenizer& tokenizer, const std::vector<TokenId>& ids) {
  const auto stream = tokenizer.stream();
  std::string text;
  for (const TokenId id : ids) {
    const std::string piece = stream->push(id);
    EXPECT_EQ(first_invalid_utf8(piece), std::nullopt) << "a piece of the stream is cut within a character";
    text += piece;
  }
  return text + stream->finish();
}

}  // namespace attnlab::model::tokenizer_test
