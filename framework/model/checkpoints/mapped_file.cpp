#include "model/checkpoints/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include <attnlab/error.h>
#include <fmt/format.h>

namespace attnlab::model {
namespace {

std::string system_message(int error) {
  return std::generic_category().message(error);
}

// Closes at the end of its block: the mapping outlives the descriptor.
struct Descriptor {
  int fd;
  ~Descriptor() { ::close(fd); }
};

}  // namespace

MappedFile MappedFile::open(const std::filesystem::path& path, std::string_view kind) {
  const std::string where = path.string();
  // Not blocking: opening a pipe must be refused, not waited for.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) throw Error(where, "cannot be opened: " + system_message(errno));
  const Descriptor descriptor{fd};

  struct stat status {};
  if (::fstat(fd, &status) != 0) throw Error(where, "cannot be read: " + system_message(errno));
  if (S_ISDIR(status.st_mode)) throw Error(where, "is a folder", fmt::format("name a {} file", kind));
  if (!S_ISREG(status.st_mode)) throw Error(where, "is no regular file", fmt::format("name a {} file", kind));
  const auto bytes = static_cast<std::size_t>(status.st_size);
  if (bytes == 0) throw Error(where, "is empty", fmt::format("a {} file begins with a header", kind));

  void* const address = ::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
  if (address == MAP_FAILED) throw Error(where, "cannot be mapped: " + system_message(errno));
  MappedFile file;
  file.path_ = path;
  file.mapping_ = static_cast<std::byte*>(address);
  file.bytes_ = bytes;
  return file;
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      mapping_(std::exchange(other.mapping_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(mapping_, other.mapping_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

MappedFile::~MappedFile() {
  if (mapping_ != nullptr) ::munmap(mapping_, bytes_);
}

void MappedFile::release(std::size_t offset, std::size_t count) const noexcept {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::size_t first = (offset + page - 1) / page * page;
  const std::size_t end = (offset + count) / page * page;
  // Advice only: a refusal costs memory, not correctness.
  if (first < end) static_cast<void>(::madvise(mapping_ + first, end - first, MADV_DONTNEED));
}

}  // namespace attnlab::model
