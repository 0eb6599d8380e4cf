#include "base/file_hashes.h"

#include <fmt/format.h>

#include "base/sha256.h"

namespace attnlab::experiment {

const std::string& FileHashes::quick(const std::filesystem::path& file) {
  constexpr std::uintmax_t kLimit = std::uintmax_t{256} << 20;
  std::string& known = quick_[file.string()];
  if (known.empty())
    known = std::filesystem::file_size(file) <= kLimit
                ? sha256(file)
                : fmt::format("{} {}", std::filesystem::file_size(file),
                              std::filesystem::last_write_time(file).time_since_epoch().count());
  return known;
}

const std::string& FileHashes::sha256(const std::filesystem::path& file) {
  std::string& known = sha256_[file.string()];
  if (known.empty()) known = sha256_of_file(file);
  return known;
}

}  // namespace attnlab::experiment
