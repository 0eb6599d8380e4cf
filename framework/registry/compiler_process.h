// Runs a compiler and reads its output. Not a general way to start programs.
#pragma once

#include <string>
#include <vector>

namespace attnlab {

struct CompilerRun {
  bool started = false;
  int exit_code = -1;  // -1: ended by a signal
  int signal = 0;
  std::string said;  // what it wrote, diagnostics last
};

/// words[0] is looked up in PATH where it has no slash. Waits for the end.
[[nodiscard]] CompilerRun run_compiler(std::vector<std::string> words);

/// Name and major version as the stamp has them, "gcc 12"; empty where the compiler is not there or is none.
[[nodiscard]] std::string compiler_name(const std::string& compiler);

}  // namespace attnlab
