#include "registry/compiler_process.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <memory>
#include <string_view>

namespace attnlab {
namespace {

// A file without a name: output of any size never blocks the compiler.
struct Close {
  void operator()(std::FILE* file) const noexcept { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, Close>;

std::string text_of(std::FILE* file) {
  std::string text;
  char piece[4096];
  std::rewind(file);
  while (const std::size_t got = std::fread(piece, 1, sizeof piece, file)) text.append(piece, got);
  return text;
}

// The value of a predefined macro in what `-dM -E` prints, or nothing.
std::string macro(std::string_view macros, std::string_view name) {
  const std::string start = "#define " + std::string(name) + " ";
  const std::size_t at = macros.find(start);
  if (at == std::string_view::npos) return {};
  const std::string_view rest = macros.substr(at + start.size());
  return std::string(rest.substr(0, rest.find('\n')));
}

}  // namespace

CompilerRun run_compiler(std::vector<std::string> words) {
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const File said(std::tmpfile());
  if (said == nullptr) return {};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, fileno(said.get()), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, fileno(said.get()), STDERR_FILENO);
  pid_t child = -1;
  const int failure = posix_spawnp(&child, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failure != 0) return {};
  int status = 0;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return {};
  return {.started = true,
          .exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1,
          .signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0,
          .said = text_of(said.get())};
}

std::string compiler_name(const std::string& compiler) {
  const CompilerRun run = run_compiler({compiler, "-dM", "-E", "-x", "c++", "/dev/null"});
  if (!run.started || run.exit_code != 0) return {};
  // Clang calls itself GNU too.
  if (const std::string clang = macro(run.said, "__clang_major__"); !clang.empty()) return "clang " + clang;
  const std::string gnu = macro(run.said, "__GNUC__");
  return gnu.empty() ? std::string() : "gcc " + gnu;
}

}  // namespace attnlab
