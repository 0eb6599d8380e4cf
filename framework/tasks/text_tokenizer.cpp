#include "tasks/text_tokenizer.h"

#include <algorithm>
#include <utility>

#include <attnlab/error.h>

#include "config/named_path.h"

namespace attnlab::tasks {
namespace {

constexpr std::string_view kBytes = "bytes";

TokenId byte_id(char byte) {
  return static_cast<unsigned char>(byte);
}

bool is_of_word(char byte) {
  return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

}  // namespace

TextTokenizer::TextTokenizer(std::filesystem::path folder)
    : folder_(std::move(folder)), tokenizer_(model::load_tokenizer(folder_)) {}

std::vector<TokenId> TextTokenizer::encode(std::string_view text) const {
  if (!is_bytes()) return tokenizer_->encode(text);
  std::vector<TokenId> ids(text.size());
  std::ranges::transform(text, ids.begin(), byte_id);
  return ids;
}

std::vector<TokenId> TextTokenizer::before_text() const {
  if (is_bytes()) return {};
  const auto before = tokenizer_->before_prompt();
  return {before.begin(), before.end()};
}

bool TextTokenizer::has_word(TokenId id) const {
  if (is_bytes()) return is_of_word(static_cast<char>(id));
  return std::ranges::any_of(tokenizer_->decode({&id, 1}), is_of_word);
}

// A token by itself may lose the blank that it begins with, as the first of a text.
bool TextTokenizer::goes_on_with_word(TokenId before, TokenId id) const {
  if (is_bytes()) return is_of_word(static_cast<char>(id));
  const TokenId both[] = {before, id};
  const std::string head = tokenizer_->decode({&before, 1}), text = tokenizer_->decode(both);
  return text.size() > head.size() && is_of_word(text[head.size()]);
}

IdText::IdText(const TextTokenizer& tokenizer, std::string_view text)
    : text_bytes_(static_cast<std::int64_t>(text.size())) {
  if (tokenizer.is_bytes())
    bytes_ = text;
  else
    ids_ = tokenizer.encode(text);
}

TokenId IdText::highest() const noexcept {
  TokenId most = -1;
  for (const char byte : bytes_) most = std::max(most, byte_id(byte));
  for (const TokenId id : ids_) most = std::max(most, id);
  return most;
}

void IdText::append_to(std::vector<TokenId>& to, std::int64_t first, std::int64_t count) const {
  if (bytes_.empty())
    to.insert(to.end(), ids_.begin() + first, ids_.begin() + first + count);
  else
    std::transform(bytes_.begin() + first, bytes_.begin() + first + count, std::back_inserter(to), byte_id);
}

config::Key tokenizer_key() {
  return {.name = "tokenizer",
          .type = config::KeyType::path,
          .doc =
              "bytes, where id i is the byte i, or a folder with a tokenizer. Default: bytes; in the workload answers "
              "the model's."};
}

std::shared_ptr<const TextTokenizer> read_tokenizer(const TaskReading& reading) {
  const config::Node* node = reading.node.find(tokenizer_key().name);
  std::filesystem::path folder = reading.tokenizer;
  if (node != nullptr) {
    if (node->text() == kBytes) return std::make_shared<TextTokenizer>();
    const auto named = config::read_path(*node, "tokenizer", reading.base, config::PathKind::any, reading.problems);
    if (!named) return nullptr;
    folder = *named;
  }
  if (folder.empty()) return std::make_shared<TextTokenizer>();
  try {
    return std::make_shared<TextTokenizer>(folder);
  } catch (const Error& error) {
    add_found(error, folder, node != nullptr ? node->mark() : reading.where, reading.problems);
    return nullptr;
  }
}

}  // namespace attnlab::tasks
