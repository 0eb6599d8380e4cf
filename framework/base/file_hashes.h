// Hashes of the files that an experiment depends on, each read once.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include <attnlab/api.h>

namespace attnlab::experiment {

/// Remembers by path: a file that changes meanwhile keeps the hash that it had. Not for several threads.
class ATTNLAB_API FileHashes {
 public:
  /// For names that only this machine needs: of the bytes; of a file that is too large to hash in passing, its size and
  /// time.
  const std::string& quick(const std::filesystem::path& file);
  /// Of the bytes, however many: the same wherever the file lies. What `sha256sum` prints.
  const std::string& sha256(const std::filesystem::path& file);

 private:
  std::map<std::string, std::string> quick_, sha256_;
};

}  // namespace attnlab::experiment
