// JSON of any size, read fast and only read: all values stand in one flat list in the order of the file, strings are
// borrowed. A tokenizer.json of 150,000 tokens so takes tens of milliseconds, where a tree of maps takes half a second.
// It accepts and refuses what strict_json.h does, with the same words.
// Not here: documents that are changed or written, and small files where a tree is handier (nlohmann::json).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <attnlab/api.h>

namespace attnlab::model {

enum class JsonKind : std::uint8_t { null, boolean, integer, large_integer, real, string, list, object };

/// One entry of the list. A list is followed by its values, an object by its keys (strings) and values in turns.
struct JsonRecord {
  JsonKind kind = JsonKind::null;
  std::uint32_t size = 0;  // bytes of a string; values of a list; entries of an object
  union {
    std::uint64_t bits = 0;  // boolean; large_integer: an integer of 2^63 or more
    std::int64_t integer;
    double real;
    const char* text;
    std::size_t records;  // of a list or an object with all that it holds, itself included
  };
};

/// A value of a JsonDocument, to be copied; the document must outlive it. Asking for what a value is not is a fault of
/// the program: look at kind() first.
class ATTNLAB_API JsonValue {
 public:
  explicit JsonValue(const JsonRecord* record) : record_(record) {}

  [[nodiscard]] JsonKind kind() const { return record_->kind; }
  [[nodiscard]] bool is(JsonKind kind) const { return record_->kind == kind; }
  [[nodiscard]] std::size_t size() const { return record_->size; }  // of a list or an object
  [[nodiscard]] std::string_view text() const { return {record_->text, record_->size}; }
  [[nodiscard]] bool boolean() const { return record_->bits != 0; }
  [[nodiscard]] std::int64_t integer() const { return record_->integer; }
  [[nodiscard]] std::uint64_t large_integer() const { return record_->bits; }
  [[nodiscard]] double real() const { return record_->real; }

  struct Entry {
    std::string_view key;
    const JsonRecord* record;
    [[nodiscard]] JsonValue value() const { return JsonValue(record); }
  };
  template <bool kOfObject>
  class Range;
  /// Of a list: for (const JsonValue value : list.values()).
  [[nodiscard]] Range<false> values() const;
  /// Of an object: for (const auto& [key, record] : object.entries()), in the order of the file.
  [[nodiscard]] Range<true> entries() const;
  /// Of an object; nothing if there is no such key.
  [[nodiscard]] std::optional<JsonValue> find(std::string_view key) const;

 private:
  [[nodiscard]] const JsonRecord* after() const {
    return record_ + (is(JsonKind::list) || is(JsonKind::object) ? record_->records : 1);
  }
  const JsonRecord* record_;
};

/// A value as a message shows it: scalars as JSON, cut to length; else "a list" or "an object".
[[nodiscard]] std::string shown(JsonValue value);

class ATTNLAB_API JsonDocument {
 public:
  /// One JSON value. Throws attnlab::Error as parse_strict_json does.
  JsonDocument(std::string text, const std::string& where);
  /// A whole file. Throws attnlab::Error as read_strict_json does.
  static JsonDocument read(const std::filesystem::path& path, std::size_t max_bytes);
  JsonDocument(JsonDocument&&) noexcept;
  JsonDocument& operator=(JsonDocument&&) noexcept;
  ~JsonDocument();

  [[nodiscard]] JsonValue root() const { return JsonValue(records_.data()); }

 private:
  struct Texts;  // what the strings lie in
  std::unique_ptr<Texts> texts_;
  std::vector<JsonRecord> records_;
};

template <bool kOfObject>
class JsonValue::Range {
 public:
  class Iterator {
   public:
    explicit Iterator(const JsonRecord* at) : at_(at) {}
    auto operator*() const {
      if constexpr (kOfObject) {
        return Entry{JsonValue(at_).text(), at_ + 1};
      } else {
        return JsonValue(at_);
      }
    }
    Iterator& operator++() {
      at_ = JsonValue(at_ + (kOfObject ? 1 : 0)).after();
      return *this;
    }
    bool operator==(const Iterator&) const = default;

   private:
    const JsonRecord* at_;
  };
  Range(const JsonRecord* begin, const JsonRecord* end) : begin_(begin), end_(end) {}
  [[nodiscard]] Iterator begin() const { return Iterator(begin_); }
  [[nodiscard]] Iterator end() const { return Iterator(end_); }

 private:
  const JsonRecord* begin_;
  const JsonRecord* end_;
};

inline JsonValue::Range<false> JsonValue::values() const {
  return {record_ + 1, after()};
}
inline JsonValue::Range<true> JsonValue::entries() const {
  return {record_ + 1, after()};
}

}  // namespace attnlab::model
