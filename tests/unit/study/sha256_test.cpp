// The examples of FIPS 180-4 and of NIST's test vectors, and every way a block can be filled.
#include "base/sha256.h"

#include <gtest/gtest.h>

#include <attnlab/error.h>

#include "unit/report_samples.h"

namespace attnlab::experiment {
namespace {

using report::test::Folder;

TEST(Sha256, GivesThePublishedDigests) {
  EXPECT_EQ(sha256_of_text(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_of_text("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_of_text("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256_of_text(std::string(1'000'000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

// The lengths around the padding: 55 bytes are the last that fit with the length into one block.
TEST(Sha256, PadsEveryLengthAroundABlock) {
  EXPECT_EQ(sha256_of_text(std::string(55, 'a')), "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318");
  EXPECT_EQ(sha256_of_text(std::string(56, 'a')), "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a");
  EXPECT_EQ(sha256_of_text(std::string(64, 'a')), "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb");
}

TEST(Sha256, OfAFileIsThatOfItsBytesAcrossPieces) {
  const Folder folder;
  for (const std::size_t bytes : {std::size_t{0}, std::size_t{1}, std::size_t{1} << 20, (std::size_t{2} << 20) + 77}) {
    std::string text(bytes, '\0');
    for (std::size_t i = 0; i < bytes; ++i) text[i] = static_cast<char>(i * 7 + (i >> 11));
    report::test::write_plainly(folder / "plugin.so", text);
    EXPECT_EQ(sha256_of_file(folder / "plugin.so"), sha256_of_text(text)) << bytes;
  }
}

TEST(Sha256, OfAFileThatCannotBeReadNamesIt) {
  const Folder folder;
  for (const auto& path : {folder / "gone.so", folder.path()}) {
    try {
      static_cast<void>(sha256_of_file(path));
      FAIL() << path;
    } catch (const Error& error) {
      EXPECT_TRUE(std::string(error.what()).starts_with(path.string() + ": cannot be read: ")) << error.what();
    }
  }
}

}  // namespace
}  // namespace attnlab::experiment
