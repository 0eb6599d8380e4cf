// What is written for a model of bytes, read again: ids are the bytes.
#include "tasks/byte_tokenizer.h"

#include "model/tokenizers/tokenizer.h"
#include "unit/model_test_files.h"

namespace attnlab::tasks {
namespace {

TEST(ByteTokenizerFile, IsReadAsTheBytesOfEveryText) {
  const model_test::TempFolder folder;
  folder.write("tokenizer.json", byte_tokenizer_json());
  const auto tokenizer = model::load_tokenizer(folder.path());
  EXPECT_EQ(tokenizer->vocab_size(), 256);
  EXPECT_TRUE(tokenizer->before_prompt().empty() && tokenizer->after_prompt().empty());
  std::string text;
  for (int byte = 0; byte < 0x80; ++byte) text += static_cast<char>(byte);
  text += "  Two blanks, \r\n\tUmläute ÿ ­, 漢字 and 😀.";
  for (char32_t code = 0xA0; code < 0x800; code += 7) {
    text += static_cast<char>(0xC0 | code >> 6);
    text += static_cast<char>(0x80 | (code & 0x3F));
  }
  std::vector<model::TokenId> bytes;
  for (const char byte : text) bytes.push_back(static_cast<unsigned char>(byte));
  EXPECT_EQ(tokenizer->encode(text), bytes);
  EXPECT_EQ(tokenizer->decode(bytes), text);
}

}  // namespace
}  // namespace attnlab::tasks
