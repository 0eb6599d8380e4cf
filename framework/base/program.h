// Another program, run to its end.
#pragma once

#include <string>
#include <vector>

#include <attnlab/api.h>

namespace attnlab {

struct ProgramRun {
  bool started = false;  // false: there is no such program, or no process can be had
  int exit_code = -1;    // -1: a signal ended it
  int signal = 0;
  std::string out, err;  // what it wrote

  [[nodiscard]] bool ended_well() const noexcept { return started && exit_code == 0; }
};

/// The first word is looked up in PATH; no shell sees the words. Nothing on its input. Waits, whatever it writes.
[[nodiscard]] ATTNLAB_API ProgramRun run_program(std::vector<std::string> words);

}  // namespace attnlab
