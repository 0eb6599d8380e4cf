#include "runner/run_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>

#include <attnlab/error.h>
#include <nlohmann/json.hpp>

#include "base/process_name.h"
#include "machine/proc_files.h"
#include "report/read/trial_result.h"

namespace attnlab::experiment {
namespace {

// The open file; while it lives, no other process of this host decides about the lock.
class LockFile {
 public:
  explicit LockFile(const std::filesystem::path& path) : path_(path) {
    // The process that held the file may have removed it while we waited: then a new one counts.
    do {
      close_if_open();
      descriptor_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
      if (descriptor_ < 0) fail();
      while (flock(descriptor_, LOCK_EX) != 0) {
        if (errno == ENOLCK || errno == EOPNOTSUPP || errno == ENOSYS) break;  // as on some network file systems
        if (errno != EINTR) fail();
      }
    } while (!is_still_there());
  }
  ~LockFile() { close_if_open(); }
  LockFile(const LockFile&) = delete;
  LockFile& operator=(const LockFile&) = delete;

  std::string text() const {
    char room[4096];
    const ssize_t got = pread(descriptor_, room, sizeof room, 0);
    return {room, static_cast<std::size_t>(std::max<ssize_t>(got, 0))};
  }

  void write(const std::string& text) const {
    if (ftruncate(descriptor_, 0) == 0 &&
        pwrite(descriptor_, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()) &&
        fsync(descriptor_) == 0)
      return;
    const int fault = errno;
    unlink(path_.c_str());
    errno = fault;
    fail();
  }

 private:
  [[noreturn]] void fail() const {
    const int fault = errno;
    throw Error(path_.string(), fmt::format("the lock of the run cannot be written: {}", std::strerror(fault)),
                fault == ENOSPC || fault == EDQUOT ? "free some space there" : "name a folder that can be written to");
  }
  bool is_still_there() const {
    struct stat own {
    }, there{};
    return fstat(descriptor_, &own) == 0 && stat(path_.c_str(), &there) == 0 && own.st_ino == there.st_ino &&
           own.st_dev == there.st_dev;
  }
  void close_if_open() {
    if (descriptor_ >= 0) close(descriptor_);
    descriptor_ = -1;
  }

  std::filesystem::path path_;
  int descriptor_ = -1;
};

struct Holder {
  std::string host, boot;
  std::int64_t process = 0;
  std::uint64_t started = 0;
};

// None: the text was never written to its end.
std::optional<Holder> holder_in(const std::string& text) {
  try {
    const auto lock = nlohmann::json::parse(text);
    return Holder{lock.at("host"), lock.at("boot"), lock.at("pid"), lock.at("started")};
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

void refuse_if_held(const std::filesystem::path& path, const std::string& text) {
  const auto holder = holder_in(text);
  if (!holder) return;
  if (holder->host != host_name())
    throw Error(path.string(),
                fmt::format("a run on host \"{}\" (process {}) holds this folder", holder->host, holder->process),
                "wait for its end, or remove this file if it has ended without removing it");
  if (holder->boot != boot_id() || start_ticks(static_cast<pid_t>(holder->process)) != holder->started) return;
  throw Error(path.string(), fmt::format("another run (process {}) is at work in this folder", holder->process),
              "wait for its end, or name another folder with -o");
}

}  // namespace

RunLock::RunLock(const std::filesystem::path& folder) : path_(folder / kFile) {
  const LockFile file(path_);
  refuse_if_held(path_, file.text());
  file.write(report::json_text(
      {{"host", host_name()}, {"pid", getpid()}, {"started", start_ticks(getpid()).value_or(0)}, {"boot", boot_id()}}));
}

RunLock::~RunLock() {
  unlink(path_.c_str());
}

}  // namespace attnlab::experiment
