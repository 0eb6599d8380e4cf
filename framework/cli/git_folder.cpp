// git archive, through a pipe into tar. No shell sees any of the names.
#include "cli/git_folder.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <vector>

#include <attnlab/error.h>
#include <fmt/format.h>

namespace attnlab::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRemedy = "name a results folder that is committed in a git checkout, and a revision of it";

// Starts a program that is looked up in PATH; its input and output are the descriptors. -1: there is no such program.
pid_t start(std::vector<std::string> words, int input, int output) {
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t child = -1;
  const int failure = posix_spawnp(&child, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  return failure == 0 ? child : -1;
}

bool ended_well(pid_t child) {
  int status = 0;
  while (child > 0 && waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return false;
  return child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// Two ends that no other program inherits.
struct Pipe {
  int ends[2] = {-1, -1};

  Pipe() {
    if (pipe2(ends, O_CLOEXEC) != 0) throw Error("", std::string("no pipe can be had: ") + std::strerror(errno));
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    close_end(0);
    close_end(1);
  }
  void close_end(int end) {
    if (ends[end] >= 0) close(ends[end]);
    ends[end] = -1;
  }
};

struct Nothing {
  int descriptor = open("/dev/null", O_RDWR | O_CLOEXEC);
  Nothing() = default;
  Nothing(const Nothing&) = delete;
  Nothing& operator=(const Nothing&) = delete;
  ~Nothing() { close(descriptor); }
};

// What `git -C folder words...` prints, without its line end; empty where it fails.
std::string git(const fs::path& folder, const std::vector<std::string>& words) {
  std::vector<std::string> all{"git", "-C", folder.string()};
  all.insert(all.end(), words.begin(), words.end());
  const Nothing nothing;
  Pipe pipe;
  const pid_t child = start(all, nothing.descriptor, pipe.ends[1]);
  pipe.close_end(1);
  std::string said;
  char piece[4096];
  for (ssize_t got; (got = read(pipe.ends[0], piece, sizeof piece)) > 0 || (got < 0 && errno == EINTR);)
    if (got > 0) said.append(piece, static_cast<std::size_t>(got));
  if (!ended_well(child)) return {};
  while (said.ends_with('\n')) said.pop_back();
  return said;
}

bool unpack(const fs::path& folder, const std::string& tree, const fs::path& to) {
  const Nothing nothing;
  Pipe pipe;
  const pid_t archive =
      start({"git", "-C", folder.string(), "archive", "--format=tar", tree}, nothing.descriptor, pipe.ends[1]);
  const pid_t tar = start({"tar", "-x", "-f", "-", "-C", to.string()}, pipe.ends[0], nothing.descriptor);
  pipe.close_end(0);
  pipe.close_end(1);
  const bool is_archived = ended_well(archive);
  return ended_well(tar) && is_archived;
}

}  // namespace

GitFolder::GitFolder(const fs::path& folder, const std::string& revision) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) throw Error(folder.string(), "is no folder", kRemedy);
  const std::string top = git(folder, {"rev-parse", "--show-toplevel"});
  if (top.empty())
    throw Error(folder.string(), fmt::format("is in no git checkout, so there is no revision {} of it", revision),
                kRemedy);
  const std::string commit =
      git(folder, {"rev-parse", "--verify", "--quiet", "--end-of-options", revision + "^{commit}"});
  if (commit.empty()) throw Error(revision, "is neither a folder nor a revision of git", kRemedy);
  std::string inside = git(folder, {"rev-parse", "--show-prefix"});
  while (inside.ends_with('/')) inside.pop_back();
  // The tree itself, so that its files come without the folders above them.
  const std::string tree = git(folder, {"rev-parse", "--verify", "--quiet", commit + ":" + inside});
  if (tree.empty()) throw Error(folder.string(), "is not in revision " + revision, kRemedy);
  std::string pattern = (fs::temp_directory_path() / "attnlab-compare-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr)
    throw Error(pattern, std::string("no temporary folder can be made: ") + std::strerror(errno));
  path_ = pattern;
  if (unpack(top, tree, path_)) return;
  fs::remove_all(path_, error);
  throw Error(folder.string(), "cannot be unpacked from revision " + revision, "git and tar are needed");
}

GitFolder::~GitFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

}  // namespace attnlab::cli
