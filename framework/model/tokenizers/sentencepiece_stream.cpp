// See the header.
#include "model/tokenizers/sentencepiece_stream.h"

#include <string_view>

#include <attnlab/error.h>

#include "model/tokenizers/utf8.h"

namespace attnlab::model::tokenizer_parts {
namespace {

constexpr std::string_view kSpaceSymbol = "\xE2\x96\x81";  // U+2581

}  // namespace

std::string decode_pieces(const sentencepiece::SentencePieceProcessor& processor, const std::vector<int>& ids) {
  std::string text;
  const auto status = processor.Decode(ids, &text);
  if (!status.ok()) throw Error("", std::string("sentencepiece cannot decode these ids: ") + status.message());
  return text;
}

std::string PieceStream::push(TokenId id) {
  require_token(id, processor_->GetPieceSize());
  if (processor_->IsByte(id)) {
    bytes_.push_back(id);
    // "<0xE5>" is the byte 0xE5.
    raw_bytes_ += static_cast<char>(std::stoi(processor_->IdToPiece(id).substr(3, 2), nullptr, 16));
    return take_bytes(/*more_may_follow=*/true);
  }
  std::string text = take_bytes(false);
  return text += started_ ? text_of(id) : first_text(id);
}

std::string PieceStream::take_bytes(bool more_may_follow) {
  std::string text;
  while (!raw_bytes_.empty()) {
    const Utf8Step step = first_character(raw_bytes_);
    if (step.state == Utf8State::incomplete && more_may_follow) break;
    // sentencepiece replaces a broken character byte by byte.
    const std::ptrdiff_t taken = step.state == Utf8State::valid ? step.bytes : 1;
    text += decode_pieces(*processor_, {bytes_.begin(), bytes_.begin() + taken});
    bytes_.erase(bytes_.begin(), bytes_.begin() + taken);
    raw_bytes_.erase(0, static_cast<std::size_t>(taken));
    started_ = true;
  }
  return text;
}

// Until there is text, what a piece gives depends on all before it; control pieces never matter.
std::string PieceStream::first_text(TokenId id) {
  if (processor_->IsControl(id)) return {};
  before_text_.push_back(id);
  std::string text = decode_pieces(*processor_, before_text_);
  started_ = !text.empty();
  return text;
}

std::string PieceStream::text_of(TokenId id) const {
  if (processor_->IsControl(id)) return {};
  if (processor_->IsUnknown(id)) return decode_pieces(*processor_, {id});
  std::string text;
  std::string_view piece = processor_->IdToPiece(id);
  for (std::size_t at; (at = piece.find(kSpaceSymbol)) != piece.npos; piece.remove_prefix(at + kSpaceSymbol.size())) {
    text += piece.substr(0, at);
    text += ' ';
  }
  return text += piece;
}

}  // namespace attnlab::model::tokenizer_parts
