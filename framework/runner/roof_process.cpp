#include "runner/roof_process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <string>

#include <attnlab/error.h>

#include "runner/interrupt.h"

namespace attnlab::experiment {
namespace {

// What the child has to say: a probe, or why there is none.
struct Answer {
  RoofProbe probe;
  char problem[400] = {};
};

Answer measure(int threads, double seconds_budget) {
  Answer answer;
  try {
    answer.probe = measure_roof(threads, seconds_budget);
  } catch (const Error& error) {
    std::strncpy(answer.problem, error.problems().front().text().c_str(), sizeof answer.problem - 1);
  } catch (const std::exception& error) {
    std::strncpy(answer.problem, error.what(), sizeof answer.problem - 1);
  }
  return answer;
}

}  // namespace

RoofProbe measure_roof_apart(int threads, double seconds_budget) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw Error("", std::string("no process for the roof: ") + std::strerror(errno));
  std::fflush(nullptr);
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    leave_interrupts_to_parent();
    const Answer answer = measure(threads, seconds_budget);
    _exit(write(ends[1], &answer, sizeof answer) == sizeof answer ? 0 : 1);  // less than PIPE_BUF: whole or not at all
  }
  const int fault = errno;
  close(ends[1]);
  Answer answer;
  ssize_t got = 0;
  if (child > 0) {
    while ((got = read(ends[0], &answer, sizeof answer)) < 0 && errno == EINTR) {
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
  }
  close(ends[0]);
  if (child < 0) throw Error("", std::string("no process for the roof: ") + std::strerror(fault));
  if (got != sizeof answer) throw Error("", "the process that measures the roof has died", "run again with --resume");
  if (answer.problem[0] != '\0') throw Error("", answer.problem);
  return answer.probe;
}

}  // namespace attnlab::experiment
