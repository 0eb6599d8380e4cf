// YAML as a tree of values that remember where they were written, so that every later check can say file:line:column.
// Immutable plain data; only the two parse functions use yaml-cpp. Not here: what a scalar means (scalars.h) and
// what a map may hold (map_reader.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <attnlab/api.h>

namespace attnlab::config {

inline constexpr int kMaxDepth = 64;                 // maps and sequences inside each other, aliases expanded
inline constexpr std::size_t kMaxNodes = 100'000;    // aliases expanded
inline constexpr std::size_t kMaxBytes = 1'000'000;  // of a text; yaml-cpp needs up to a second for so many

/// A place in a file, or an argument of the command line.
struct ATTNLAB_API Mark {
  std::string file;
  int line = 0;    // from 1; 0: `file` says it all (an argument)
  int column = 0;  // from 1, in bytes

  /// "file:line:column", or the file alone.
  [[nodiscard]] std::string text() const;
  /// The place `bytes` further on the same line.
  [[nodiscard]] Mark after(std::size_t bytes) const;

  bool operator==(const Mark&) const = default;
};

class ATTNLAB_API Node {
 public:
  enum class Kind : std::uint8_t { null, scalar, sequence, map };
  struct Entry;

  /// Null, nowhere.
  Node() = default;
  static Node null(Mark mark);
  static Node scalar(Mark mark, std::string text, bool quoted);
  static Node sequence(Mark mark, std::vector<Node> items);
  static Node map(Mark mark, std::vector<Entry> entries);

  [[nodiscard]] Kind kind() const noexcept { return kind_; }
  [[nodiscard]] bool is_null() const noexcept { return kind_ == Kind::null; }
  [[nodiscard]] bool is_scalar() const noexcept { return kind_ == Kind::scalar; }
  [[nodiscard]] bool is_sequence() const noexcept { return kind_ == Kind::sequence; }
  [[nodiscard]] bool is_map() const noexcept { return kind_ == Kind::map; }
  [[nodiscard]] const Mark& mark() const noexcept { return mark_; }

  /// Of a scalar, unescaped; else empty.
  [[nodiscard]] const std::string& text() const noexcept { return text_; }
  /// Whether a scalar stands in quotes, is a block (| or >) or is tagged !!str: then it is text, whatever it looks
  /// like.
  [[nodiscard]] bool quoted() const noexcept { return quoted_; }
  /// Of a sequence; else empty.
  [[nodiscard]] const std::vector<Node>& items() const noexcept { return items_; }
  /// Of a map, in the order of the file, merged entries last; else empty. Keys are unique.
  [[nodiscard]] const std::vector<Entry>& entries() const noexcept { return entries_; }
  /// Null pointer where the key is not there, or where this is no map.
  [[nodiscard]] const Node* find(std::string_view key) const noexcept;

 private:
  Kind kind_ = Kind::null;
  bool quoted_ = false;
  Mark mark_;
  std::string text_;
  std::vector<Node> items_;
  std::vector<Entry> entries_;
};

struct Node::Entry {
  std::string key;
  Mark key_mark;
  Node value;
};

/// One YAML document. Anchors, aliases and merge keys (`<<`) are resolved; explicit keys win over merged ones.
/// Error (where = "FILE:line:column", or the file) if the file is missing or a folder, the text is too large, no UTF-8
/// or no YAML, holds nothing or several documents, a key twice, a key that is no text, or more nodes or levels than
/// above.
[[nodiscard]] ATTNLAB_API Node parse_file(const std::filesystem::path& path);
/// The file's text, with the errors of one that cannot be read.
[[nodiscard]] ATTNLAB_API std::string text_of_file(const std::filesystem::path& path);
/// The same for a text; `name` stands where a file's name would.
[[nodiscard]] ATTNLAB_API Node parse_text(std::string_view text, const std::string& name);
/// The same for an argument of the command line: all marks are `name` alone, and an empty text
/// is null.
[[nodiscard]] ATTNLAB_API Node parse_argument(std::string_view text, const std::string& name);

}  // namespace attnlab::config
