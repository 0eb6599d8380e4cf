// SHA-256 (FIPS 180-4), by OpenSSL's libcrypto: names what a result came from: plugin files, configs, weights.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include <attnlab/api.h>

namespace attnlab::experiment {

/// 64 lower-case hexadecimal digits.
[[nodiscard]] ATTNLAB_API std::string sha256_of_text(std::string_view text);

/// The same for a file's bytes, read in pieces. Throws Error where the file cannot be read.
[[nodiscard]] ATTNLAB_API std::string sha256_of_file(const std::filesystem::path& path);

}  // namespace attnlab::experiment
