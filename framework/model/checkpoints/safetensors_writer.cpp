// Writing is all or nothing: a reader never sees half a file, also not after a full disk or a crash.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <functional>
#include <system_error>
#include <utility>

#include <attnlab/error.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "base/process_name.h"
#include "model/checkpoints/safetensors.h"

namespace attnlab::model {
namespace {

constexpr std::size_t kAlignment = 64;  // a cache line, and the widest vector register
constexpr std::string_view kTemporaryPrefix = ".attnlab.";
constexpr std::string_view kTemporaryEnding = ".tmp";

// The file under its temporary name; gone at the end of the block unless it was renamed.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::filesystem::path& target) : target_(target) {
    static std::atomic<int> serial{0};
    // Not made of the name of the target, which may be as long as names can be.
    path_ =
        target_.parent_path() / fmt::format("{}{}.{}{}", kTemporaryPrefix, process_name(), serial++, kTemporaryEnding);
    fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd_ < 0) fail();
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() {
    if (fd_ >= 0) ::close(fd_);
    if (!renamed_) ::unlink(path_.c_str());
  }

  void write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail();
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
  }

  // Data first, then the name, then the folder that holds the name.
  void rename_to_target() {
    if (::fsync(fd_) != 0) fail();
    const int closed = ::close(std::exchange(fd_, -1));
    if (closed != 0) fail();
    if (::rename(path_.c_str(), target_.c_str()) != 0) fail();
    renamed_ = true;
    const std::filesystem::path folder = target_.has_parent_path() ? target_.parent_path() : ".";
    const int folder_fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder_fd < 0) return;  // a folder that may be written but not read: the file is there all the same
    ::fsync(folder_fd);
    ::close(folder_fd);
  }

 private:
  [[noreturn]] void fail() const {
    const int error = errno;
    throw Error(target_.string(), "cannot be written: " + std::generic_category().message(error),
                error == ENOENT || error == ENOTDIR ? "create its folder first" : "");
  }

  std::filesystem::path target_;
  std::filesystem::path path_;
  int fd_ = -1;
  bool renamed_ = false;
};

std::uint64_t expected_bytes(const OutputTensor& tensor) {
  std::uint64_t elements = 1;
  for (const std::int64_t extent : tensor.shape) {
    ATTNLAB_CHECK(extent >= 0, "a tensor to write has a negative extent");
    elements *= static_cast<std::uint64_t>(extent);
  }
  return elements * static_cast<std::uint64_t>(dtype_bits(tensor.dtype)) / 8;
}

// Entries in the order of their data, padded with blanks so that the data begin aligned.
std::string header_text(std::span<const OutputTensor* const> tensors) {
  std::string text = "{";
  std::uint64_t offset = 0;
  for (const OutputTensor* tensor : tensors) {
    ATTNLAB_CHECK(tensor->bytes.size() == expected_bytes(*tensor), "a tensor to write does not fit its shape");
    const std::uint64_t end = offset + tensor->bytes.size();
    if (text.size() > 1) text += ',';
    text +=
        fmt::format(R"({}:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})", nlohmann::json(tensor->name).dump(),
                    dtype_name(tensor->dtype), fmt::join(tensor->shape, ","), offset, end);
    offset = end;
  }
  text += '}';
  const std::size_t length_field = sizeof(std::uint64_t);
  text.append((kAlignment - (length_field + text.size()) % kAlignment) % kAlignment, ' ');
  return text;
}

}  // namespace

void write_safetensors(const std::filesystem::path& path, std::span<const OutputTensor> tensors) {
  std::error_code failed;
  const auto status = std::filesystem::status(path, failed);
  // Renaming over a device such as /dev/null would replace it.
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    throw Error(path.string(), "cannot be written: it exists and is no regular file", "name a file");
  }
  std::vector<const OutputTensor*> ordered;
  for (const OutputTensor& tensor : tensors) ordered.push_back(&tensor);
  std::ranges::sort(ordered, {}, &OutputTensor::name);
  const bool unique = std::ranges::adjacent_find(ordered, {}, &OutputTensor::name) == ordered.end();
  ATTNLAB_CHECK(unique, "two tensors to write have one name");
  std::ranges::stable_sort(ordered, std::greater<>(), [](const OutputTensor* t) { return dtype_bits(t->dtype); });

  const std::string header = header_text(ordered);
  const std::uint64_t header_bytes = header.size();
  TemporaryFile file(path);
  file.write(std::as_bytes(std::span(&header_bytes, 1)));
  file.write(std::as_bytes(std::span(header)));
  for (const OutputTensor* tensor : ordered) file.write(tensor->bytes);
  file.rename_to_target();
}

void remove_unfinished_files(const std::filesystem::path& folder) {
  std::error_code failure;
  for (std::filesystem::directory_iterator entry(folder, failure), end; !failure && entry != end;
       entry.increment(failure)) {
    const std::string name = entry->path().filename().string();
    if (!name.starts_with(kTemporaryPrefix) || !name.ends_with(kTemporaryEnding)) continue;
    // Of a process of another machine it is not known here whether it lives.
    std::string_view rest = std::string_view(name).substr(kTemporaryPrefix.size());
    const std::string own = host_token() + "-";
    if (!rest.starts_with(own)) continue;
    rest.remove_prefix(own.size());
    pid_t process = 0;
    std::from_chars(rest.data(), rest.data() + rest.size(), process);
    std::error_code ignored;
    if (process > 0 && ::kill(process, 0) != 0 && errno == ESRCH) std::filesystem::remove(entry->path(), ignored);
  }
}

}  // namespace attnlab::model
