// A run on a terminal: what is running and what the last trial found, in place, on as few columns as there are.
#include <pty.h>

#include "e2e/experiments.h"

namespace attnlab::program_test {
namespace {

// What the program writes to a terminal of so many columns.
std::string on_terminal(const Sandbox& sandbox, const std::vector<std::string>& arguments, unsigned short columns) {
  std::vector<std::string> words{ATTNLAB_PROGRAM};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const winsize size{.ws_row = 24, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
  int terminal = -1;
  const pid_t pid = forkpty(&terminal, nullptr, nullptr, &size);
  if (pid < 0) return {};
  if (pid == 0) {
    if (chdir(sandbox.path().c_str()) != 0) _exit(126);
    execv(argv[0], argv.data());
    _exit(127);
  }
  std::string all;
  char piece[4096];
  for (ssize_t got = 0; (got = read(terminal, piece, sizeof piece)) > 0;)
    all.append(piece, static_cast<std::size_t>(got));
  close(terminal);
  int status = 0;
  waitpid(pid, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << all;
  return all;
}

TEST(Terminal, ShowsTheTrialThatEndedAndTheOneThatRunsInPlace) {
  const Sandbox sandbox;
  sandbox.write("study.yaml", Experiment{.repeats = "3", .workloads = "[{speed: {batch: [q512]}}]"}.yaml());
  const std::string shown = on_terminal(sandbox, {"run", "study.yaml", "-o", "out"}, 80);
  if (shown.empty()) GTEST_SKIP() << "no terminal can be had here";
  const std::string bars = shown.substr(0, shown.find("Model: "));  // where the table of the run begins
  expect_mentions(bars, {"now running: warm-up 1/3  gqa/rope/full  speed q512", "3/3  ", " elapsed  ",
                         "prefill tokens/s ", "\x1b[J", "\x1b[A\r"});
  // Nothing but the warning of an experiment and what failed would stay: every line is written over.
  for (const std::string& line : lines_of(bars)) {
    std::string plain = line;
    for (const char* code : {"\x1b[J", "\x1b[A", "\r"})
      for (std::size_t at = 0; (at = plain.find(code, at)) != std::string::npos;) plain.erase(at, std::strlen(code));
    EXPECT_LT(plain.size(), 2 * 80U) << plain << ": longer than the end of one bar and the start of the next";
  }
}

}  // namespace
}  // namespace attnlab::program_test
