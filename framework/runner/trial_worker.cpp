#include "runner/trial_worker.h"

#include <malloc.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <memory>
#include <new>
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <attnlab/error.h>

#include "base/plugin_call.h"
#include "conformance/arm_check.h"
#include "machine/cache_sizes.h"
#include "machine/data_limit.h"
#include "machine/memory.h"
#include "machine/roof.h"
#include "parallel/parallel.h"
#include "report/read/format.h"
#include "report/read/metrics.h"
#include "runner/run_training.h"
#include "runner/turn_messages.h"

namespace attnlab::experiment {
namespace {

// The highest resident size since it was last asked to start anew; whole process, in bytes.
void start_peak() {
  std::ofstream("/proc/self/clear_refs") << 5;
}
double status_bytes(std::string_view key) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(key)) return std::stod(line.substr(key.size())) * 1024;
  return 0;
}
double peak_rss() {
  return status_bytes("VmHWM:");
}

class Worker {
 public:
  Worker(const Plan& plan, const TrialStart& start, int socket)
      : plan_(plan),
        arm_(start.arm),
        seed_(start.seed),
        shared_(start.shared),
        folder_(start.trials_folder),
        source_(start.weights.empty() ? *plan.arms[arm_].source : plan.arms[arm_].source->with_weights(start.weights)),
        is_trained_(!start.weights.empty()),
        model_(source_),
        turns_(socket) {}

  report::TrialResult answer(const TrialRequest& request) {
    report::TrialResult result = trial_frame(plan_, arm_, request.planned_case, seed_, static_cast<int>(request.round));
    try {
      const DataLimit limit(plan_.spec.limits.memory);
      switch (request.what) {
        case TrialRequest::What::prepare:
          prepare();
          break;
        case TrialRequest::What::check:
          check(request.planned_case, result);
          break;
        case TrialRequest::What::measure:
          measure(request, result);
          break;
        case TrialRequest::What::train:
          train(request.training, result);
          break;
      }
    } catch (const Error& error) {
      end(result, "failed", error.problems().front().text());
    } catch (const std::bad_alloc&) {
      const std::uint64_t limit = plan_.spec.limits.memory;
      end(result, "failed",
          limit == 0 ? "out of memory"
                     : fmt::format("out of memory: the limit is {}", report::format_bytes(static_cast<double>(limit))));
    } catch (const std::exception& error) {
      end(result, "failed", error.what());
    } catch (...) {
      end(result, "failed", "unexpected exception: " + current_exception_text());
    }
    return result;
  }

 private:
  static void end(report::TrialResult& result, std::string status, std::string reason) {
    result.status = std::move(status);
    result.reason = std::move(reason);
    result.samples.clear();
    result.details = nlohmann::json::object();
  }

  void prepare() {
    const PlannedArm& arm = plan_.arms[arm_];
    set_threads(arm.threads);
    // A checkpoint says of the model what the arm made of it, as its heads of keys and values.
    const ResolvedArm resolved = is_trained_ ? resolve_arm(arm.arm, source_.config(), *plan_.registry) : arm.resolved;
    decoder_ = std::make_unique<model::Decoder>(build_decoder(
        resolved, source_, *plan_.registry,
        {.seed = static_cast<std::uint64_t>(seed_), .allow_nonfinite = plan_.allow_nonfinite, .shared = shared_}));
  }

  void train(std::size_t training, report::TrialResult& result) {
    set_threads(plan_.arms[arm_].threads);
    start_peak();
    Measured measured = run_training(plan_, plan_.trainings[training], folder_.parent_path());
    if (measured.details.contains("diverged")) {
      const std::string reason = measured.details.at("diverged");
      return end(result, "diverged", reason);
    }
    measured.add("peak_rss_bytes", "bytes", "lower", peak_rss());
    result.samples = std::move(measured.samples);
    result.details = std::move(measured.details);
    add_roof(result);
  }

  void check(std::size_t planned_case, report::TrialResult& result) {
    const PlannedCase& planned = plan_.cases[planned_case];
    const std::vector<CaseFeeding> feedings = plan_.workload_of(planned).feedings(planned.index, planned.size);
    const CarefulCalls careful;
    if (auto wrong = check_arm(*decoder_, feedings, plan_.allow_nonfinite)) end(result, "wrong", std::move(*wrong));
    malloc_trim(0);  // what the check held is not of what is measured next
  }

  void measure(const TrialRequest& request, report::TrialResult& result) {
    start_peak();
    static_cast<void>(decoder_->take_nonfinite());
    Measured measured = run(request.planned_case, request.in_turns != 0 ? &turns_ : nullptr);
    // In any step: what is measured last may be finite again.
    if ((decoder_->take_nonfinite() || measured.has_nonfinite_logits) && !plan_.allow_nonfinite)
      return end(result, "wrong", "the logits hold NaN or Inf");
    measured.add("peak_rss_bytes", "bytes", "lower", peak_rss());
    result.samples = std::move(measured.samples);
    result.details = std::move(measured.details);
    if (const Arithmetic compute = plan_.arms[arm_].resolved.compute; compute != Arithmetic::f32)
      result.details["compute"] = arithmetic_name(compute);
    if (plan_.arms[arm_].threads != plan_.threads) result.details["threads"] = plan_.arms[arm_].threads;
    add_roof(result);
  }

  // What the machine can do now, of what the trial will be given a share of; its memory is no part of the peak.
  void add_roof(report::TrialResult& result) const {
    const auto has = [&](std::string_view metric) {
      return std::ranges::find(result.samples, metric, &report::Sample::metric) != result.samples.end();
    };
    const CacheSizes caches = cache_sizes(static_cast<int>(std::thread::hardware_concurrency()));
    const double held = report::kCachesHold * static_cast<double>(caches.l3_bytes);
    const std::uint64_t limit = plan_.spec.limits.memory;
    const double room = static_cast<double>(limit > 0 ? limit : memory_limit_bytes()) - status_bytes("VmRSS:");
    const bool computes = has(report::kOperationsPerSecond), is_bf16 = result.details.contains("compute");
    const RoofsWanted wanted{.fma = computes && !is_bf16,
                             .bf16 = computes && is_bf16,
                             .read = has(report::kBytesPerSecond) && result.details.value("bytes_per_step", 0.0) > held,
                             .most_bytes = static_cast<std::int64_t>(room / 2)};
    if (computes || wanted.read) result.details["roof"] = measure_roof_beside(plan_.arms[arm_].threads, wanted);
  }

  Measured run(std::size_t planned_case, Turns* turns) {
    const PlannedCase& planned = plan_.cases[planned_case];
    const bool is_compared = !plan_.kind_of(planned).against_baseline.empty();
    return plan_.workload_of(planned).measure(
        planned.index,
        {.decoder = *decoder_,
         .model = model_,
         .seed = static_cast<std::uint64_t>(seed_),
         .compression = plan_.arms[arm_].compression,
         .turns = turns,
         .baseline = is_compared ? baseline_file(plan_, arm_, planned_case, seed_, folder_) : BaselineFile{}});
  }

  const Plan& plan_;
  std::size_t arm_;
  std::int64_t seed_;
  const model::SharedParts& shared_;
  const std::filesystem::path& folder_;
  ModelSource source_;
  bool is_trained_;
  std::unique_ptr<model::Decoder> decoder_;
  ModelTexts model_;
  SocketTurns turns_;
};

}  // namespace

void serve_trials(int socket, const Plan& plan, const TrialStart& start) {
  Worker worker(plan, start, socket);
  TrialRequest request;
  while (read_all(socket, &request, sizeof request)) {
    if (!send_text(socket, report::json_text(worker.answer(request)))) return;
  }
}

report::TrialResult trial_frame(const Plan& plan, std::size_t arm, std::size_t planned_case, std::int64_t seed,
                                int round) {
  const PlannedArm& planned = plan.arms[arm];
  const PlannedCase& of = plan.cases[planned_case];
  report::TrialResult result;
  result.id = trial_id(plan, planned, of, seed, round);
  result.arm = planned.arm.name;
  result.attention = planned.arm.attention.text();
  result.position = planned.arm.position.text();
  result.cache = planned.arm.cache.text();
  result.workload = of.workload_name;
  result.case_name = of.label;
  result.round = round;
  result.seed = seed;
  return result;
}

BaselineFile baseline_file(const Plan& plan, std::size_t arm, std::size_t planned_case, std::int64_t seed,
                           const std::filesystem::path& trials_folder) {
  const PlannedArm& baseline = plan.arms[plan.spec.baseline];
  if (!baseline.runs(planned_case) || !baseline.failed.empty()) return {};
  const std::string id = trial_id(plan, baseline, plan.cases[planned_case], seed, 0);
  return {trials_folder / (id + ".topk"),
          arm == plan.spec.baseline ? BaselineFile::Role::written : BaselineFile::Role::read};
}

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
  const auto* at = static_cast<const char*>(from);
  while (count > 0) {
    const ssize_t sent = send(socket, at, count, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    at += sent;
    count -= static_cast<std::size_t>(sent);
  }
  return true;
}

}  // namespace attnlab::experiment
