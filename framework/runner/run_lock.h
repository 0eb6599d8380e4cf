// One run at a time in a results folder. The lock is a file, run.lock, that names its holder: host, process, and when
// that process began, since process ids come again. A lock whose holder is gone is taken over.
#pragma once

#include <filesystem>

#include <attnlab/api.h>

namespace attnlab::experiment {

class ATTNLAB_API RunLock {
 public:
  /// Error naming the holder where another run is at work in the folder, here or on another host; or where the file
  /// cannot be written.
  explicit RunLock(const std::filesystem::path& folder);
  /// Removes the file.
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

  static constexpr const char* kFile = "run.lock";

 private:
  std::filesystem::path path_;
};

}  // namespace attnlab::experiment
