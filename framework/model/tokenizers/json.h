// Reading JSON that other programs wrote: every value knows its file and its place in it, so that whatever is wrong
// is reported as `file: pre_tokenizer.pretokenizers[1].behavior ...` and nothing is read with the wrong type.
// Not here: parsing the text (json_document.h, which also bounds the nesting that parsers of sequences recurse into).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <attnlab/error.h>

#include "model/checkpoints/json_document.h"

namespace attnlab::model::tokenizer_parts {

/// Of any JSON file of a tokenizer: Gemma's, the largest, has 33 MB.
inline constexpr std::size_t kMaxTokenizerBytes = std::size_t{256} << 20;

/// "a, b, c", for the remedy of an unsupported kind.
std::string list_of(const std::vector<std::string>& names);

/// The file is well, but has a part of a kind that is not supported: another file of the folder may do.
class UnsupportedKind final : public Error {
 public:
  using Error::Error;
};

/// A borrowed value of a JSON document; the document must outlive it.
class JsonNode {
 public:
  JsonNode(JsonValue value, std::string file, std::string path = {})
      : value_(value), file_(std::move(file)), path_(std::move(path)) {}

  [[nodiscard]] JsonValue value() const { return value_; }
  [[nodiscard]] const std::string& file() const { return file_; }

  /// Fields: at() refuses a missing one, find() returns nothing for one that is missing or null.
  [[nodiscard]] JsonNode at(const std::string& key) const;
  [[nodiscard]] std::optional<JsonNode> find(const std::string& key) const;
  [[nodiscard]] std::vector<JsonNode> items() const;                            // of an array
  [[nodiscard]] std::vector<std::pair<std::string, JsonNode>> entries() const;  // of an object

  [[nodiscard]] std::string string() const;
  [[nodiscard]] bool boolean() const;
  [[nodiscard]] std::int64_t integer() const;
  [[nodiscard]] bool boolean_or(const std::string& key, bool fallback) const;

  /// Refuses a key of this object that is not among `keys`, unless it is null: nothing that a file says about a part
  /// is left unread. `keys` also holds what has no effect on ids or text (a comment at the call says so).
  void has_only(const std::vector<std::string>& keys) const;

  /// Throws attnlab::Error "file: <path of this value> what; remedy".
  [[noreturn]] void refuse(const std::string& what, const std::string& remedy = {}) const;
  /// The same for a "type" that is not supported, as UnsupportedKind.
  [[noreturn]] void refuse_kind(const std::string& kind, const std::vector<std::string>& supported) const;

 private:
  [[nodiscard]] std::string message(const std::string& what) const;

  JsonValue value_;
  std::string file_;
  std::string path_;
};

}  // namespace attnlab::model::tokenizer_parts
