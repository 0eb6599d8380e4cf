#include "report/read/text_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>
#include <system_error>
#include <utility>

#include <attnlab/error.h>

#include "base/process_name.h"

namespace attnlab::report {
namespace {

namespace fs = std::filesystem;

const char* remedy_for(int code) {
  switch (code) {
    case ENOSPC:
    case EDQUOT:
      return "free some space there";
    case EROFS:
    case EACCES:
    case EPERM:
      return "name a folder that can be written to";
    case ENOENT:
    case ENOTDIR:
      return "the folder must exist";
    default:
      return "";
  }
}

// A file that removes itself unless it was kept.
class Temporary {
 public:
  explicit Temporary(fs::path path) : path_(std::move(path)) {
    descriptor_ = open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    is_created_ = descriptor_ >= 0;
    if (!is_created_) error_ = errno;
  }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  ~Temporary() {
    if (descriptor_ >= 0) close(descriptor_);
    if (is_created_ && !is_kept_) unlink(path_.c_str());
  }

  void write(std::string_view text) {
    while (error_ == 0 && !text.empty()) {
      const ssize_t written = ::write(descriptor_, text.data(), text.size());
      if (written >= 0)
        text.remove_prefix(static_cast<std::size_t>(written));
      else if (errno != EINTR)
        error_ = errno;
    }
  }

  void rename_to(const fs::path& path) {
    if (error_ == 0 && fsync(descriptor_) != 0) error_ = errno;
    if (descriptor_ >= 0 && close(std::exchange(descriptor_, -1)) != 0 && error_ == 0) error_ = errno;
    if (error_ == 0 && std::rename(path_.c_str(), path.c_str()) != 0) error_ = errno;
    is_kept_ = error_ == 0;
  }

  [[nodiscard]] int error() const { return error_; }

 private:
  fs::path path_;
  int descriptor_ = -1;
  int error_ = 0;
  bool is_created_ = false;
  bool is_kept_ = false;
};

// So that the new name survives a power cut. Not every file system can do it, and the file is whole anyway.
void sync_folder(const fs::path& folder) {
  const int descriptor = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return;
  static_cast<void>(fsync(descriptor));
  close(descriptor);
}

}  // namespace

void write_atomically(const fs::path& path, std::string_view text) {
  static std::atomic<unsigned> count = 0;
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  Temporary temporary(folder / ("." + path.filename().string() + "." + process_name() + "-" +
                                std::to_string(count++) + ".tmp"));
  temporary.write(text);
  temporary.rename_to(path);
  if (const int code = temporary.error(); code != 0)
    throw Error(path.string(), std::string("cannot be written: ") + std::strerror(code), remedy_for(code));
  sync_folder(folder);
}

std::string read_text(const fs::path& path) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) throw Error(path.string(), "is a folder, not a file");
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (file.peek() != std::ifstream::traits_type::eof()) text << file.rdbuf();
  if (!file.is_open() || file.bad() || text.fail())
    throw Error(path.string(), std::string("cannot be read: ") + std::strerror(errno));
  return std::move(text).str();
}

}  // namespace attnlab::report
