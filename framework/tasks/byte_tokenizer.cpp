#include "tasks/byte_tokenizer.h"

#include <nlohmann/json.hpp>

#include "base/utf8.h"

namespace attnlab::tasks {
namespace {

using Json = nlohmann::ordered_json;

// Byte-level tokenizers spell each byte as a character (GPT-2's table): printable ones as themselves, the others from
// U+0100 on, in their order.
bool is_itself(int byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
}

}  // namespace

std::string byte_tokenizer_json() {
  Json vocab = Json::object();
  char32_t next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    std::string spelling;
    append_utf8(is_itself(byte) ? static_cast<char32_t>(byte) : next++, spelling);
    vocab[spelling] = byte;
  }
  const Json byte_level{
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", false}};
  const Json tokenizer{{"version", "1.0"},
                       {"truncation", nullptr},
                       {"padding", nullptr},
                       {"added_tokens", Json::array()},
                       {"normalizer", nullptr},
                       {"pre_tokenizer", byte_level},
                       {"post_processor", nullptr},
                       {"decoder", byte_level},
                       {"model",
                        {{"type", "BPE"},
                         {"dropout", nullptr},
                         {"unk_token", nullptr},
                         {"continuing_subword_prefix", nullptr},
                         {"end_of_word_suffix", nullptr},
                         {"fuse_unk", false},
                         {"byte_fallback", false},
                         {"vocab", std::move(vocab)},
                         {"merges", Json::array()}}}};
  return tokenizer.dump(1) + "\n";
}

}  // namespace attnlab::tasks
