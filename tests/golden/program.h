// Runs the program as people run it: a process of its own in an empty folder, judged by its exit code, what it writes
// on its two outputs, and the files that it leaves.
#pragma once

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <ostream>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace attnlab::program_test {

namespace fs = std::filesystem;

inline std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.is_open()) << path << " cannot be read";
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

inline std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

struct Outcome {
  int exit_code = -1;  // -1: ended by a signal
  int signal = 0;
  std::string out;
  std::string err;

  [[nodiscard]] std::string first_error() const { return err.substr(0, err.find('\n')); }
  friend std::ostream& operator<<(std::ostream& stream, const Outcome& outcome) {
    return stream << "exit code " << outcome.exit_code << ", signal " << outcome.signal << "\nstdout: " << outcome.out
                  << "\nstderr: " << outcome.err;
  }
};

/// What a process gets beside its arguments. `plugin_path` is ATTNLAB_PLUGIN_PATH; that of the caller is not passed on.
struct Surroundings {
  std::string plugin_path;
  std::size_t address_space = 0;                      // bytes, as ulimit -v; 0: no limit
  std::map<std::string, std::string> variables = {};  // of the environment
};

/// An empty folder that goes away, in which the program is run.
class Sandbox {
 public:
  Sandbox() {
    std::string pattern = (fs::temp_directory_path() / "attnlab-test-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path_ = pattern;
  }
  Sandbox(const Sandbox&) = delete;
  Sandbox& operator=(const Sandbox&) = delete;
  ~Sandbox() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }

  [[nodiscard]] const fs::path& path() const { return path_; }
  [[nodiscard]] fs::path operator/(const fs::path& name) const { return path_ / name; }

  fs::path write(const fs::path& name, std::string_view text) const {
    fs::create_directories((path_ / name).parent_path());
    std::ofstream file(path_ / name, std::ios::binary);
    file.write(text.data(), static_cast<std::streamsize>(text.size()));
    return path_ / name;
  }

  /// Everything in the folder, as relative paths: what a refused command must leave as it was.
  [[nodiscard]] std::set<std::string> files() const {
    std::set<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(path_))
      names.insert(fs::relative(entry.path(), path_).string());
    return names;
  }

  Outcome run(const std::vector<std::string>& arguments, const Surroundings& surroundings = {}) const {
    return run_at(ATTNLAB_PROGRAM, arguments, surroundings);
  }

 private:
  Outcome run_at(const std::string& program, const std::vector<std::string>& arguments,
                 const Surroundings& surroundings) const {
    Captured out, err;
    std::vector<std::string> words{program};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    const pid_t pid = fork();
    if (pid < 0) throw std::runtime_error("no process");
    if (pid == 0) {
      const int nothing = open("/dev/null", O_RDONLY);
      dup2(nothing, STDIN_FILENO);
      dup2(out.descriptor, STDOUT_FILENO);
      dup2(err.descriptor, STDERR_FILENO);
      if (surroundings.plugin_path.empty())
        unsetenv("ATTNLAB_PLUGIN_PATH");
      else
        setenv("ATTNLAB_PLUGIN_PATH", surroundings.plugin_path.c_str(), 1);
      for (const auto& [name, value] : surroundings.variables) setenv(name.c_str(), value.c_str(), 1);
      const rlimit space{surroundings.address_space, surroundings.address_space};
      if (surroundings.address_space > 0 && setrlimit(RLIMIT_AS, &space) != 0) _exit(126);
      const rlimit no_core{0, 0};
      setrlimit(RLIMIT_CORE, &no_core);
      if (chdir(path_.c_str()) != 0) _exit(126);
      execv(program.c_str(), argv.data());
      _exit(127);
    }
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    Outcome outcome;
    if (WIFEXITED(status)) outcome.exit_code = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) outcome.signal = WTERMSIG(status);
    outcome.out = out.text();
    outcome.err = err.text();
    return outcome;
  }

  // A file without a name, so that an output of any size never blocks the program and is no file of the folder.
  struct Captured {
    std::FILE* file = std::tmpfile();
    int descriptor = fileno(file);
    Captured() = default;
    Captured(const Captured&) = delete;
    Captured& operator=(const Captured&) = delete;
    ~Captured() { std::fclose(file); }
    [[nodiscard]] std::string text() const {
      std::string all;
      char piece[4096];
      std::rewind(file);
      while (const std::size_t got = std::fread(piece, 1, sizeof piece, file)) all.append(piece, got);
      return all;
    }
  };

  fs::path path_;
};

inline void expect_mentions(const std::string& text, const std::vector<std::string>& parts) {
  for (const std::string& part : parts)
    EXPECT_TRUE(text.find(part) != std::string::npos) << '"' << part << "\" is not in: " << text;
}

/// Exit code 0 and nothing on stderr but, perhaps, warnings and notes.
inline void expect_well(const Outcome& outcome) {
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  for (const std::string& line : lines_of(outcome.err))
    EXPECT_TRUE(line.starts_with("attnlab: warning: ") || line.starts_with("attnlab: note: ")) << line;
}

/// The contract of wrong input: exit code 2; every line of stderr carries the prefix, the first is the error and
/// mentions all parts; nothing on stdout.
inline void expect_wrong_input(const Outcome& outcome, const std::vector<std::string>& parts) {
  ASSERT_EQ(outcome.exit_code, 2) << outcome;
  EXPECT_EQ(outcome.out, "");
  ASSERT_FALSE(outcome.err.empty()) << outcome;
  EXPECT_TRUE(outcome.err.ends_with('\n'));
  for (const std::string& line : lines_of(outcome.err)) EXPECT_TRUE(line.starts_with("attnlab: ")) << line;
  EXPECT_FALSE(outcome.err.starts_with("attnlab: warning: ")) << outcome.err;
  expect_mentions(outcome.first_error(), parts);
}

/// Runs and expects wrong input, and that no file came, went or changed its size.
inline void expect_refused(const Sandbox& sandbox, const std::vector<std::string>& arguments,
                           const std::vector<std::string>& parts, const Surroundings& surroundings = {}) {
  const std::set<std::string> before = sandbox.files();
  const Outcome outcome = sandbox.run(arguments, surroundings);
  expect_wrong_input(outcome, parts);
  EXPECT_EQ(sandbox.files(), before) << outcome;
}

}  // namespace attnlab::program_test
