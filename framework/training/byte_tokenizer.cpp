#include "training/byte_tokenizer.h"

#include <algorithm>
#include <string>

#include "model/tokenizers/bytelevel.h"

namespace attnlab::training {

nlohmann::ordered_json byte_tokenizer_json(int vocab_size) {
  using nlohmann::ordered_json;
  ordered_json vocabulary = ordered_json::object();
  for (int byte = 0; byte < std::min(vocab_size, 256); ++byte)
    vocabulary[model::tokenizer_parts::to_byte_characters(std::string(1, static_cast<char>(byte)))] = byte;
  const ordered_json byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", true}};
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", ordered_json::array()},
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
            {"vocab", vocabulary},
            {"merges", ordered_json::array()}}}};
}

}  // namespace attnlab::training
