// The text of pieces as they come, which libsentencepiece does not have: it decodes whole lists.
// Two things depend on the neighbours: the space of the first piece, which is dropped where the model puts one in front
// of every text, and runs of byte pieces. Everything else is the piece's own text.
#pragma once

#include <string>
#include <vector>

#include <sentencepiece_processor.h>

#include "model/tokenizers/tokenizer.h"

namespace attnlab::model::tokenizer_parts {

/// Throws attnlab::Error where sentencepiece refuses.
std::string decode_pieces(const sentencepiece::SentencePieceProcessor& processor, const std::vector<int>& ids);

/// Of one text; the processor must outlive it.
class PieceStream final : public StreamDecoder {
 public:
  explicit PieceStream(const sentencepiece::SentencePieceProcessor& processor) : processor_(&processor) {}
  std::string push(TokenId id) override;
  std::string finish() override { return take_bytes(false); }

 private:
  std::string take_bytes(bool more_may_follow);
  std::string first_text(TokenId id);
  [[nodiscard]] std::string text_of(TokenId id) const;

  const sentencepiece::SentencePieceProcessor* processor_;
  bool started_ = false;
  std::vector<int> before_text_;
  std::vector<int> bytes_;  // byte pieces that wait for the rest of a character: at most 3
  std::string raw_bytes_;   // their bytes
};

}  // namespace attnlab::model::tokenizer_parts
