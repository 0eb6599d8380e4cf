#include "base/sha256.h"

#include <openssl/evp.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>
#include <vector>

#include <attnlab/error.h>

namespace attnlab::experiment {
namespace {

class Digest {
 public:
  Digest() : state_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    check(state_ != nullptr && EVP_DigestInit_ex(state_.get(), EVP_sha256(), nullptr) == 1);
  }
  void update(std::string_view bytes) { check(EVP_DigestUpdate(state_.get(), bytes.data(), bytes.size()) == 1); }
  std::string finish() {
    std::array<unsigned char, 32> digest;
    check(EVP_DigestFinal_ex(state_.get(), digest.data(), nullptr) == 1);
    std::string hex;
    for (const unsigned char byte : digest) {
      hex += "0123456789abcdef"[byte >> 4];
      hex += "0123456789abcdef"[byte & 15];
    }
    return hex;
  }

 private:
  static void check(bool worked) {
    if (!worked) throw Error("", "libcrypto gives no SHA-256", "allow the algorithm in its configuration");
  }

  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> state_;
};

}  // namespace

std::string sha256_of_text(std::string_view text) {
  Digest digest;
  digest.update(text);
  return digest.finish();
}

std::string sha256_of_file(const std::filesystem::path& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  Digest digest;
  std::vector<char> piece(1 << 20);
  while (file) {
    file.read(piece.data(), static_cast<std::streamsize>(piece.size()));
    digest.update({piece.data(), static_cast<std::size_t>(file.gcount())});
  }
  // At the end of a good read only eofbit and failbit are set; a folder opens but sets badbit.
  if (!file.eof() || file.bad()) throw Error(path.string(), std::string("cannot be read: ") + std::strerror(errno));
  return digest.finish();
}

}  // namespace attnlab::experiment
