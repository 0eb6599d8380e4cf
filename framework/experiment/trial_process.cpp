#include "experiment/trial_process.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <exception>
#include <fstream>
#include <new>
#include <set>

#include <attnlab/error.h>

#include "experiment/measures.h"
#include "parallel/parallel.h"
#include "report/trial_result.h"

namespace attnlab::experiment {
namespace {

struct Request {
  std::uint64_t planned_case;
  std::int64_t round;
};

bool read_all(int socket, void* to, std::size_t count) {
  auto* at = static_cast<char*>(to);
  while (count > 0) {
    const ssize_t got = read(socket, at, count);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    at += got;
    count -= static_cast<std::size_t>(got);
  }
  return true;
}

bool write_all(int socket, const void* from, std::size_t count) {
  return send(socket, from, count, MSG_NOSIGNAL) == static_cast<ssize_t>(count);
}

// The highest resident size since it was last asked to start anew; whole process, in bytes.
void start_peak() { std::ofstream("/proc/self/clear_refs") << 5; }
double peak_rss() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) return std::stod(line.substr(6)) * 1024;
  return 0;
}

// The child's side: one arm's model and what it is asked to measure.
class Worker {
 public:
  Worker(const Plan& plan, std::size_t arm, std::filesystem::path folder)
      : plan_(plan), arm_(arm), folder_(std::move(folder)) {}

  void serve(int socket) {
    Request request;
    while (read_all(socket, &request, sizeof request)) {
      report::TrialResult result =
          trial_frame(plan_, arm_, request.planned_case, static_cast<int>(request.round));
      measure(plan_.cases[request.planned_case], result);
      report::write_trial(folder_, result);
      const char done = 1;
      if (!write_all(socket, &done, 1)) return;
    }
  }

 private:
  void measure(const PlannedCase& planned, report::TrialResult& result) {
    try {
      start_peak();
      if (decoder_ == nullptr) make_model();
      Measured measured = run(planned, result.round);
      measured.add("peak_rss_bytes", "bytes", "lower", peak_rss());
      result.samples = std::move(measured.samples);
      result.details = std::move(measured.details);
    } catch (const Error& error) {
      fail(result, error.problems().front().text());
    } catch (const std::bad_alloc&) {
      fail(result, "out of memory");
    } catch (const std::exception& error) {
      fail(result, error.what());
    } catch (...) {
      fail(result, "something was thrown that is no std::exception");
    }
  }

  static void fail(report::TrialResult& result, std::string reason) {
    result.status = "failed";
    result.reason = std::move(reason);
    result.samples.clear();
  }

  void make_model() {
    set_threads(plan_.threads);
    decoder_ = std::make_unique<model::Decoder>(
        build_decoder(plan_.arms[arm_].resolved, *plan_.source, *plan_.registry,
                      {.seed = static_cast<std::uint64_t>(plan_.spec.seed), .allow_nonfinite = plan_.allow_nonfinite}));
  }

  Measured run(const PlannedCase& planned, int round) {
    const auto seed = static_cast<std::uint64_t>(plan_.spec.seed);
    const Workload& workload = plan_.spec.workloads[planned.workload];
    if (const auto* speed = std::get_if<SpeedWorkload>(&workload)) {
      const bool first = seen_.insert({planned.workload, planned.index}).second;
      (void)round;
      return measure_speed(*decoder_, speed->cases[planned.index], seed, first, sees_all_rows());
    }
    if (const auto* recall = std::get_if<RecallWorkload>(&workload))
      return measure_recall(*decoder_, *recall, seed, prediction());
    if (tokenizer_ == nullptr) tokenizer_ = plan_.source->tokenizer();
    if (const auto* perplexity = std::get_if<PerplexityWorkload>(&workload))
      return measure_perplexity(*decoder_, *tokenizer_, *perplexity);
    return measure_generate(*decoder_, *tokenizer_, std::get<GenerateWorkload>(workload), seed);
  }

  // Only the constructed model answers whatever its cache still holds.
  std::optional<RecallPrediction> prediction() const {
    if (plan_.source->constructed() != "recall") return std::nullopt;
    return predict_recall(plan_.arms[arm_].resolved);
  }

  // No layer's attention looks at a window of its rows; evictions are seen in the cache itself.
  bool sees_all_rows() const {
    for (const ResolvedLayer& layer : plan_.arms[arm_].resolved.layers) {
      const auto found = layer.attention.options.find("window");
      if (found != layer.attention.options.end() && found->second != OptionValue(std::int64_t{0})) return false;
    }
    return true;
  }

  const Plan& plan_;
  std::size_t arm_;
  std::filesystem::path folder_;
  std::unique_ptr<model::Decoder> decoder_;
  std::unique_ptr<model::Tokenizer> tokenizer_;
  std::set<std::pair<std::size_t, std::size_t>> seen_;
};

}  // namespace

std::string component_text(const LayeredChoice& choice) {
  const nlohmann::ordered_json written = choice.written();
  return written.is_string() ? written.get<std::string>() : written.dump();
}

report::TrialResult trial_frame(const Plan& plan, std::size_t arm, std::size_t planned_case, int round) {
  const PlannedArm& planned = plan.arms[arm];
  const PlannedCase& of = plan.cases[planned_case];
  report::TrialResult result;
  result.id = trial_id(plan, planned, of, plan.spec.seed, round);
  result.arm = planned.arm.name;
  result.attention = component_text(planned.arm.attention);
  result.position = component_text(planned.arm.position);
  result.cache = component_text(planned.arm.cache);
  result.workload = of.workload_name;
  result.case_name = of.label;
  result.round = round;
  return result;
}

TrialProcess::TrialProcess(const Plan& plan, std::size_t arm, std::filesystem::path trials_folder) {
  int sockets[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0)
    throw Error("", fmt::format("no trial process can be started: {}", std::strerror(errno)));
  stderr_file_ = memfd_create("attnlab-trial", MFD_CLOEXEC);
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ < 0) {
    const int fault = errno;
    close(sockets[0]);
    close(sockets[1]);
    throw Error("", fmt::format("no trial process can be started: {}", std::strerror(fault)));
  }
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    close(sockets[0]);
    if (stderr_file_ >= 0) dup2(stderr_file_, STDERR_FILENO);
    int code = 0;
    try {
      Worker(plan, arm, std::move(trials_folder)).serve(sockets[1]);
    } catch (const std::exception& error) {  // the result file could not be written
      fmt::print(stderr, "{}\n", error.what());
      code = 1;
    }
    std::fflush(nullptr);
    _exit(code);
  }
  close(sockets[1]);
  socket_ = sockets[0];
}

TrialProcess::~TrialProcess() {
  if (socket_ >= 0) {
    // The child reads the end of its requests and leaves. Closing alone would not do: children that were started later
    // hold the socket too.
    shutdown(socket_, SHUT_RDWR);
    close(socket_);
  }
  if (pid_ > 0) {
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
  }
  if (stderr_file_ >= 0) close(stderr_file_);
}

std::string TrialProcess::run(std::size_t planned_case, int round) {
  const Request request{planned_case, round};
  char done = 0;
  if (write_all(socket_, &request, sizeof request) && read_all(socket_, &done, 1)) return {};
  return cause_of_death();
}

std::string TrialProcess::cause_of_death() {
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  std::string reason;
  if (WIFSIGNALED(status)) {
    reason = fmt::format("the process was ended by signal {} ({})", WTERMSIG(status), strsignal(WTERMSIG(status)));
    if (WTERMSIG(status) == SIGKILL) reason += ", which is what the system does when memory runs out";
  } else {
    reason = fmt::format("the process ended with exit code {}", WEXITSTATUS(status));
  }
  if (stderr_file_ < 0) return reason;
  constexpr off_t shown = 500;
  const off_t size = lseek(stderr_file_, 0, SEEK_END);
  const off_t from = std::max<off_t>(0, size - shown);
  std::string last(static_cast<std::size_t>(size - from), '\0');
  if (const ssize_t got = pread(stderr_file_, last.data(), last.size(), from); got > 0) {
    last.resize(static_cast<std::size_t>(got));
    reason += "; it wrote: " + last;
  }
  return reason;
}

}  // namespace attnlab::experiment
