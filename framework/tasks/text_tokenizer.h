// How tasks that are texts become ids: as bytes, or by the tokenizer of a folder; and such ids held without waste.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/tokenizers/tokenizer.h"
#include "tasks/task_kind.h"

namespace attnlab::tasks {

/// Immutable; for any number of threads at once.
class TextTokenizer {
 public:
  /// Bytes.
  TextTokenizer() = default;
  /// Error as load_tokenizer.
  explicit TextTokenizer(std::filesystem::path folder);

  [[nodiscard]] bool is_bytes() const noexcept { return tokenizer_ == nullptr; }
  [[nodiscard]] const std::filesystem::path& folder() const noexcept { return folder_; }
  /// Nothing around the text. Error for a text that the tokenizer of a folder does not take.
  [[nodiscard]] std::vector<TokenId> encode(std::string_view text) const;
  /// What a folder's tokenizer puts before a text; nothing before bytes.
  [[nodiscard]] std::vector<TokenId> before_text() const;
  /// Whether there is a letter of ASCII or a digit in a token.
  [[nodiscard]] bool has_word(TokenId id) const;
  /// Whether it is the first thing that a token adds to the text of the one before it.
  [[nodiscard]] bool goes_on_with_word(TokenId before, TokenId id) const;
  /// Ids of texts of ASCII are below.
  [[nodiscard]] int vocab_size() const { return is_bytes() ? 128 : tokenizer_->vocab_size(); }

 private:
  std::filesystem::path folder_;
  std::unique_ptr<model::Tokenizer> tokenizer_;
};

/// A text as ids; bytes take a byte each.
class IdText {
 public:
  IdText(const TextTokenizer& tokenizer, std::string_view text);

  [[nodiscard]] std::int64_t size() const noexcept {
    return static_cast<std::int64_t>(bytes_.empty() ? ids_.size() : bytes_.size());
  }
  [[nodiscard]] TokenId highest() const noexcept;
  [[nodiscard]] std::int64_t text_bytes() const noexcept { return text_bytes_; }
  /// ids[first .. first + count - 1], after what is there.
  void append_to(std::vector<TokenId>& to, std::int64_t first, std::int64_t count) const;

 private:
  std::string bytes_;
  std::vector<TokenId> ids_;
  std::int64_t text_bytes_ = 0;
};

/// The key `tokenizer`.
[[nodiscard]] config::Key tokenizer_key();
/// None where a problem was added.
[[nodiscard]] std::shared_ptr<const TextTokenizer> read_tokenizer(const TaskReading& reading);

}  // namespace attnlab::tasks
