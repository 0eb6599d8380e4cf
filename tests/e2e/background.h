// The program running beside the test, so that the test can do something to it: signals, and looks at its folder.
#pragma once

#include <signal.h>

#include <chrono>
#include <functional>
#include <optional>
#include <thread>

#include "golden/program.h"

namespace attnlab::program_test {

/// Started in the sandbox, outputs to files outside of it; killed where the test ends before it.
class Background {
 public:
  /// `prepare` runs in the new process before the program: limits, ignored signals.
  Background(const Sandbox& sandbox, const std::vector<std::string>& arguments,
             const std::function<void()>& prepare = {}) {
    std::vector<std::string> words{ATTNLAB_PROGRAM};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    pid_ = fork();
    if (pid_ < 0) throw std::runtime_error("no process");
    if (pid_ == 0) {
      dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
      dup2(fileno(out_), STDOUT_FILENO);
      dup2(fileno(err_), STDERR_FILENO);
      unsetenv("ATTNLAB_PLUGIN_PATH");
      if (prepare) prepare();
      if (chdir(sandbox.path().c_str()) != 0) _exit(126);
      execv(argv[0], argv.data());
      _exit(127);
    }
  }
  ~Background() {
    if (pid_ > 0) static_cast<void>(end_with(SIGKILL));
    std::fclose(out_);
    std::fclose(err_);
  }
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  void signal(int number) const {
    if (pid_ > 0) ::kill(pid_, number);  // to -1 it would go to every process
  }

  /// Its trial process at this moment; none where it has none.
  [[nodiscard]] std::optional<pid_t> child() const {
    const std::string pid = std::to_string(pid_);
    std::ifstream children("/proc/" + pid + "/task/" + pid + "/children");
    pid_t child = 0;
    if (children >> child) return child;
    return std::nullopt;
  }

  [[nodiscard]] bool has_ended() {
    if (!outcome_) collect(WNOHANG);
    return outcome_.has_value();
  }
  Outcome wait() {
    while (!outcome_) collect(0);
    return *outcome_;
  }
  Outcome end_with(int number) {
    if (!has_ended()) signal(number);
    return wait();
  }
  /// True once the condition holds, false where the program ended or a minute went by before.
  bool wait_until(const std::function<bool()>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    while (std::chrono::steady_clock::now() < deadline) {
      if (condition()) return true;
      if (has_ended()) return condition();
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return false;
  }

 private:
  void collect(int flags) {
    int status = 0;
    const pid_t got = waitpid(pid_, &status, flags);
    if (got == 0 || (got < 0 && errno == EINTR)) return;
    Outcome outcome;
    if (WIFEXITED(status)) outcome.exit_code = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) outcome.signal = WTERMSIG(status);
    outcome.out = text_of(out_);
    outcome.err = text_of(err_);
    outcome_ = outcome;
    pid_ = -1;
  }
  static std::string text_of(std::FILE* file) {
    std::string all;
    char piece[4096];
    std::rewind(file);
    while (const std::size_t got = std::fread(piece, 1, sizeof piece, file)) all.append(piece, got);
    return all;
  }

  std::FILE* out_ = std::tmpfile();
  std::FILE* err_ = std::tmpfile();
  pid_t pid_ = -1;
  std::optional<Outcome> outcome_;
};

}  // namespace attnlab::program_test
