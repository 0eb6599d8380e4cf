// A folder as it was committed: unpacked to a temporary place, and removed when the object is destroyed.
#pragma once

#include <filesystem>
#include <string>

namespace attnlab::cli {

class GitFolder {
 public:
  /// `folder` lies in a git checkout; `revision` is whatever git calls a commit. Error where one of them does not hold,
  /// or the folder was not there then.
  GitFolder(const std::filesystem::path& folder, const std::string& revision);
  ~GitFolder();
  GitFolder(const GitFolder&) = delete;
  GitFolder& operator=(const GitFolder&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace attnlab::cli
