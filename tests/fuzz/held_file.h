// One file of memory that holds input after input: a fuzzer makes millions of them.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>

namespace attnlab::fuzz {

class HeldFile {
 public:
  /// `ending`: of its name, by which readers tell formats apart.
  explicit HeldFile(const std::string& ending)
      : file_(memfd_create("fuzz", 0)),
        path_(std::filesystem::temp_directory_path() / ("attnlab-fuzz-" + std::to_string(getpid()) + ending)) {
    if (file_ < 0 || symlink(("/proc/self/fd/" + std::to_string(file_)).c_str(), path_.c_str()) != 0) std::abort();
  }
  ~HeldFile() { unlink(path_.c_str()); }
  HeldFile(const HeldFile&) = delete;
  HeldFile& operator=(const HeldFile&) = delete;

  const std::filesystem::path& fill(const std::uint8_t* data, std::size_t size) {
    if (ftruncate(file_, 0) != 0 || pwrite(file_, data, size, 0) != static_cast<ssize_t>(size)) std::abort();
    return path_;
  }

 private:
  int file_;
  std::filesystem::path path_;
};

}  // namespace attnlab::fuzz
