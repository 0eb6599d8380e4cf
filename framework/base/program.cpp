#include "base/program.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

namespace attnlab {
namespace {

// A file in memory: output of any size never blocks the program, and no disk can be too full for it.
struct Output {
  int descriptor = memfd_create("output", MFD_CLOEXEC);

  Output() = default;
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;
  ~Output() {
    if (descriptor >= 0) close(descriptor);
  }

  [[nodiscard]] std::string text() const {
    std::string text;
    char piece[65536];
    ssize_t got = 0;
    while ((got = pread(descriptor, piece, sizeof piece, static_cast<off_t>(text.size()))) > 0)
      text.append(piece, static_cast<std::size_t>(got));
    return text;
  }
};

}  // namespace

ProgramRun run_program(std::vector<std::string> words) {
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const Output out, err;
  if (out.descriptor < 0 || err.descriptor < 0) return {};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out.descriptor, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err.descriptor, STDERR_FILENO);
  // Ctrl-C on a terminal is for this process, which decides what becomes of the program.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  pid_t child = -1;
  const int failure = posix_spawnp(&child, argv[0], &actions, &attributes, argv.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (failure != 0) return {};
  int status = 0;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return {};
  return {.started = true,
          .exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1,
          .signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0,
          .out = out.text(),
          .err = err.text()};
}

}  // namespace attnlab
