// See the header. Special pieces written in a text are plain text to sentencepiece: only ids can name them.
#include "model/tokenizer_sentencepiece.h"

#include <fstream>
#include <iterator>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <sentencepiece_processor.h>

#include <attnlab/error.h>

#include "model/tokenizer_utf8.h"

namespace attnlab::model::tokenizer_parts {
namespace {

using sentencepiece::SentencePieceProcessor;

constexpr std::string_view kSpaceSymbol = "\xE2\x96\x81";  // U+2581

std::optional<TokenId> if_defined(int id) {
  return id >= 0 ? std::optional<TokenId>(id) : std::nullopt;
}

std::string decode_ids(const SentencePieceProcessor& processor, const std::vector<int>& ids) {
  std::string text;
  const auto status = processor.Decode(ids, &text);
  if (!status.ok()) throw Error("", std::string("sentencepiece cannot decode these ids: ") + status.message());
  return text;
}

// " (why)", unless it is only the place of a check in sentencepiece's own source.
std::string reason_of(const sentencepiece::util::Status& status) {
  const std::string message = LossyUtf8().push(status.message());
  return message.empty() || message.find(".cc(") != message.npos ? "" : " (" + message + ")";
}

// sentencepiece decodes a whole list. Two things depend on the neighbours: the space of the first piece, which is
// dropped, and runs of byte pieces. Everything else is the piece's own text.
class Stream final : public StreamDecoder {
 public:
  Stream(const SentencePieceProcessor& processor, int vocab_size) : processor_(processor), vocab_size_(vocab_size) {}

  std::string push(TokenId id) override {
    require_token(id, vocab_size_);
    if (processor_.IsByte(id)) {
      bytes_.push_back(id);
      // "<0xE5>" is the byte 0xE5.
      raw_bytes_ += static_cast<char>(std::stoi(processor_.IdToPiece(id).substr(3, 2), nullptr, 16));
      return take_bytes(/*more_may_follow=*/true);
    }
    std::string text = take_bytes(false);
    return text += started_ ? text_of(id) : first_text(id);
  }

  std::string finish() override { return take_bytes(false); }

 private:
  std::string take_bytes(bool more_may_follow) {
    std::string text;
    while (!raw_bytes_.empty()) {
      const Utf8Step step = first_character(raw_bytes_);
      if (step.state == Utf8State::incomplete && more_may_follow) break;
      // sentencepiece replaces a broken character byte by byte.
      const std::ptrdiff_t taken = step.state == Utf8State::valid ? step.bytes : 1;
      text += decode_ids(processor_, {bytes_.begin(), bytes_.begin() + taken});
      bytes_.erase(bytes_.begin(), bytes_.begin() + taken);
      raw_bytes_.erase(0, static_cast<std::size_t>(taken));
      started_ = true;
    }
    return text;
  }

  // Until there is text, what a piece gives depends on all before it; control pieces never matter.
  std::string first_text(TokenId id) {
    if (processor_.IsControl(id)) return {};
    before_text_.push_back(id);
    std::string text = decode_ids(processor_, before_text_);
    started_ = !text.empty();
    return text;
  }

  std::string text_of(TokenId id) const {
    if (processor_.IsControl(id)) return {};
    if (processor_.IsUnknown(id)) return decode_ids(processor_, {id});
    std::string text;
    std::string_view piece = processor_.IdToPiece(id);
    for (std::size_t at; (at = piece.find(kSpaceSymbol)) != piece.npos; piece.remove_prefix(at + kSpaceSymbol.size())) {
      text += piece.substr(0, at);
      text += ' ';
    }
    return text += piece;
  }

  const SentencePieceProcessor& processor_;
  int vocab_size_;
  bool started_ = false;
  std::vector<int> before_text_;
  std::vector<int> bytes_;  // byte pieces that wait for the rest of a character: at most 3
  std::string raw_bytes_;   // their bytes
};

class SentencePieceTokenizer final : public Tokenizer {
 public:
  explicit SentencePieceTokenizer(std::unique_ptr<SentencePieceProcessor> processor)
      : processor_(std::move(processor)), vocab_size_(processor_->GetPieceSize()) {}

  std::vector<TokenId> encode(std::string_view text) const override {
    require_encodable(text);
    std::vector<int> ids;
    const auto status = processor_->Encode(text, &ids);
    if (!status.ok()) throw Error("", std::string("sentencepiece cannot encode this text: ") + status.message());
    return ids;
  }

  std::vector<TokenId> encode_with_special(std::string_view text) const override {
    std::vector<TokenId> ids = encode(text);
    if (const auto id = bos()) ids.insert(ids.begin(), *id);
    return ids;
  }

  std::string decode(std::span<const TokenId> ids) const override {
    for (const TokenId id : ids) require_token(id, vocab_size_);
    return decode_ids(*processor_, {ids.begin(), ids.end()});
  }

  std::unique_ptr<StreamDecoder> stream() const override { return std::make_unique<Stream>(*processor_, vocab_size_); }

  int vocab_size() const override { return vocab_size_; }
  std::optional<TokenId> bos() const override { return if_defined(processor_->bos_id()); }
  std::optional<TokenId> eos() const override { return if_defined(processor_->eos_id()); }

 private:
  std::unique_ptr<SentencePieceProcessor> processor_;
  int vocab_size_;
};

}  // namespace

std::unique_ptr<Tokenizer> load_sentencepiece_tokenizer(const std::filesystem::path& file) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(file, ignored)) throw Error(file.string(), "is no regular file");
  std::ifstream stream(file, std::ios::binary);
  if (!stream) throw Error(file.string(), "cannot be read");
  const std::string remedy = "fetch the file again, or remove it to use tokenizer.json";
  const std::string bytes{std::istreambuf_iterator<char>(stream), {}};
  if (bytes.empty()) throw Error(file.string(), "is empty", remedy);
  auto processor = std::make_unique<SentencePieceProcessor>();
  const auto status = processor->LoadFromSerializedProto(bytes);
  if (!status.ok()) throw Error(file.string(), "is no sentencepiece model" + reason_of(status), remedy);
  for (int id = 0; id < processor->GetPieceSize(); ++id) {
    if (first_invalid_utf8(processor->IdToPiece(id))) {
      throw Error(file.string(), "is damaged: piece " + std::to_string(id) + " is not UTF-8", remedy);
    }
  }
  return std::make_unique<SentencePieceTokenizer>(std::move(processor));
}

}  // namespace attnlab::model::tokenizer_parts
