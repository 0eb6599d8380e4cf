#include "experiment/estimate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/storage.h"
#include "report/format.h"

namespace attnlab::experiment {
namespace {

constexpr double kShareOfPeak = 0.6;           // of the FMA peak, in a prefill
constexpr double kShareOfBandwidth = 0.7;      // of the read bandwidth, in a decode step
constexpr double kLayerSeconds = 20e-6;        // a layer costs at least so much, however small it is
constexpr double kLoadBytesPerSecond = 0.7e9;  // weights read and packed, or made from a seed
constexpr double kStartSeconds = 0.05;         // a process
constexpr double kProbeSeconds = 0.15;
constexpr std::int64_t kProbeBytes = std::int64_t{256} << 20;  // less than a run's probe: nobody waits for an estimate
constexpr int kChunk = 512;                                    // tokens of a prompt that are fed at once
constexpr double kLeastPrefill = 0.15;                         // a prefill that is shorter is repeated so long
// A limit is for trials that hang: one core of a small old machine, several times over.
constexpr double kSlowFlopsPerThread = 10e9;
constexpr double kSlowBytesPerSecond = 2e9;
constexpr double kLimitFactor = 3;
constexpr double kLeastLimitSeconds = 600;

class TrialTime {
 public:
  TrialTime(const ArmCost& cost, int layers, const RoofProbe& roof) : cost_(cost), layers_(layers), roof_(roof) {}

  // New tokens of a sequence behind `before` others, in chunks, `heads` of them with logits.
  [[nodiscard]] double prefill(double tokens, double before, double heads) const {
    const double pairs = tokens * before + tokens * (tokens + 1) / 2;
    const double operations =
        2 * (cost_.layer_weights * tokens + cost_.head_weights * heads + cost_.pair_width * pairs);
    const double chunks = std::ceil(tokens / kChunk);
    const double read = chunks * cost_.weight_bytes_read / (kShareOfBandwidth * roof_.read_bytes_per_second);
    return std::max(operations / (kShareOfPeak * roof_.fma_flops_per_second), read) + chunks * layers_ * kLayerSeconds;
  }
  // One token for each of the sequences, which then have `rows` rows together.
  [[nodiscard]] double step(double rows, double sequences = 1) const {
    const double bytes = cost_.weight_bytes_read + cost_.row_bytes * rows + cost_.state_bytes * sequences;
    const double operations = 2 * ((cost_.layer_weights + cost_.head_weights) * sequences + cost_.pair_width * rows);
    return std::max(bytes / (kShareOfBandwidth * roof_.read_bytes_per_second),
                    operations / (kShareOfPeak * roof_.fma_flops_per_second)) +
           layers_ * kLayerSeconds;
  }
  [[nodiscard]] double steps(double first, double last) const { return (last - first) * step((first + last) / 2); }

 private:
  const ArmCost& cost_;
  int layers_;
  const RoofProbe& roof_;
};

// Once to warm up, then until it lasted long enough.
double repeated(double seconds) {
  return seconds + std::max(seconds, kLeastPrefill);
}

double speed_seconds(const SpeedCase& one, const TrialTime& time) {
  if (const auto* shape = std::get_if<PromptShape>(&one.shape)) {
    const double middle = shape->prompt + shape->generate / 2.0;
    return repeated(shape->sequences * time.prefill(shape->prompt, 0, 1)) +
           shape->generate * time.step(middle * shape->sequences, shape->sequences);
  }
  const Batch& batch = std::get<Batch>(one.shape);
  double rows = 0;
  double prompts = 0;
  for (const BatchPart& part : batch) {
    rows += static_cast<double>(part.count) * part.total;
    prompts += part.count * time.prefill(part.new_tokens, part.total - part.new_tokens, 1);
  }
  return is_decode(batch) ? 2 * kDecodeSteps * time.step(rows, sequences(batch)) : repeated(prompts);
}

double perplexity_seconds(const PerplexityWorkload& workload, std::int64_t windows, const TrialTime& time) {
  return static_cast<double>(windows) * (time.prefill(workload.prefill, 0, workload.is_whole() ? workload.prefill : 1) +
                                         time.steps(workload.prefill, workload.context));
}

double case_seconds(const Plan& plan, const PlannedCase& planned, const TrialTime& time) {
  const Workload& workload = plan.spec.workloads[planned.workload];
  if (const auto* speed = std::get_if<SpeedWorkload>(&workload))
    return speed_seconds(speed->cases[planned.index], time);
  if (const auto* perplexity = std::get_if<PerplexityWorkload>(&workload))
    return perplexity_seconds(*perplexity, planned.windows, time);
  if (const auto* generate = std::get_if<GenerateWorkload>(&workload)) {
    const auto prompt = static_cast<double>(planned.tokens);
    return time.prefill(prompt, 0, 1) + time.steps(prompt, prompt + generate->tokens);
  }
  const auto& recall = std::get<RecallWorkload>(workload);
  return recall.examples * (time.prefill(recall.prompt(), 0, 1) + time.steps(recall.prompt(), recall.shape.length));
}

// Rows and sequences that are in the caches at once.
std::pair<double, double> most_rows(const Plan& plan, const PlannedCase& planned) {
  const Workload& workload = plan.spec.workloads[planned.workload];
  if (const auto* speed = std::get_if<SpeedWorkload>(&workload)) {
    const SpeedCase& one = speed->cases[planned.index];
    if (const auto* shape = std::get_if<PromptShape>(&one.shape))
      return {static_cast<double>(shape->sequences) * (shape->prompt + shape->generate), shape->sequences};
    double rows = 0;
    for (const BatchPart& part : std::get<Batch>(one.shape)) rows += static_cast<double>(part.count) * part.total;
    return {rows, sequences(std::get<Batch>(one.shape))};
  }
  return {planned.longest, 1};
}

bool runs(const PlannedArm& arm) {
  return arm.refused.empty() && arm.failed.empty();
}

std::string size(double bytes) {
  constexpr double kMebibyte = 1 << 20;
  if (bytes < 1024 * kMebibyte) return fmt::format("{:.{}f} MiB", bytes / kMebibyte, bytes < 10 * kMebibyte ? 1 : 0);
  return fmt::format("{:.1f} GiB", bytes / (1024 * kMebibyte));
}

}  // namespace

ArmCost cost_of(const ResolvedArm& arm, const model::Decoder& decoder, const model::Session& session) {
  ArmCost cost;
  cost.layer_weights = static_cast<double>(decoder.layer_weights());
  cost.head_weights = static_cast<double>(decoder.head_weights());
  cost.weight_bytes_read = static_cast<double>(decoder.weight_bytes_per_step());
  for (int layer = 0; layer < session.layers(); ++layer) {
    const KvShape shape = session.shape(layer);
    cost.pair_width += decoder.config().heads * (shape.key_dim + shape.value_dim);
    if (shape.kv_heads > 0 && session.owns_rows(layer)) cost.row_bytes += shape.kv_heads * row_bytes(arm.layers[layer].cache.storage, shape);
    cost.state_bytes += sizeof(float) * static_cast<double>(decoder.state_floats(layer));
  }
  return cost;
}

std::size_t kv_bytes(const Plan& plan, const ArmCost& cost, const PlannedCase& planned) {
  const auto [rows, sequences] = most_rows(plan, planned);
  return static_cast<std::size_t>(rows * cost.row_bytes + sequences * cost.state_bytes);
}

double default_limit_seconds(const Plan& plan, std::size_t planned_case) {
  double most = 0;
  for (const PlannedArm& arm : plan.arms) {
    if (!runs(arm) || !arm.runs(planned_case)) continue;
    const RoofProbe slow{.fma_flops_per_second = kSlowFlopsPerThread * arm.threads,
                         .read_bytes_per_second = kSlowBytesPerSecond};
    const double load = static_cast<double>(arm.weight_bytes) / kLoadBytesPerSecond;
    most = std::max(most, load + trial_seconds(plan, arm, plan.cases[planned_case], slow));
  }
  constexpr double kMinute = 60;
  return std::max(kLeastLimitSeconds, kMinute * std::ceil(kLimitFactor * most / kMinute));
}

double trial_seconds(const Plan& plan, const PlannedArm& arm, const PlannedCase& planned, const RoofProbe& roof) {
  return case_seconds(plan, planned, TrialTime(arm.cost, plan.source->config().layers, roof));
}

Estimate estimate(const Plan& plan, const RoofProbe& roof) {
  constexpr int kLeastWarmup = 2;
  Estimate all;
  for (const PlannedArm& arm : plan.arms) {
    if (!runs(arm)) continue;
    const double start = kStartSeconds + static_cast<double>(arm.weight_bytes) / kLoadBytesPerSecond;
    double once = 0;   // what is measured in the first round only
    double round = 0;  // what is measured in every round
    double speed = 0;  // what is measured in rounds of warm-up too
    std::size_t most_kv_bytes = 0;
    for (std::size_t index = 0; index < plan.cases.size(); ++index) {
      if (!arm.runs(index)) continue;
      const PlannedCase& planned = plan.cases[index];
      const double seconds = trial_seconds(plan, arm, planned, roof);
      (planned.deterministic ? once : round) += seconds;
      if (planned.workload_name == "speed") speed += seconds;
      most_kv_bytes = std::max(most_kv_bytes, kv_bytes(plan, arm.cost, planned));
    }
    const auto seeds = static_cast<double>(plan.spec.seeds.size());
    const auto with = [&](int rounds, int warmup) {
      const double warm = speed > 0 ? warmup * (start + speed) : 0;
      return seeds * (once + (round > 0 ? rounds : 1) * (start + round) + warm);
    };
    all.least_seconds += with(plan.spec.repeats.min, std::min(plan.spec.warmup, kLeastWarmup));
    all.most_seconds += with(plan.spec.repeats.max, plan.spec.warmup);
    if (arm.weight_bytes + most_kv_bytes > all.weight_bytes + all.kv_bytes) {
      all.weight_bytes = arm.weight_bytes;
      all.kv_bytes = most_kv_bytes;
      all.largest_arm = arm.arm.name;
    }
  }
  return all;
}

std::string describe_estimate(const Plan& plan) {
  RoofProbe roof;
  roof.fma_flops_per_second = measure_fma(plan.threads, kProbeSeconds);
  roof.buffer_bytes = std::min(read_buffer_bytes(plan.threads), kProbeBytes);
  roof.read_bytes_per_second = measure_read(plan.threads, kProbeSeconds, roof.buffer_bytes);
  const Estimate all = estimate(plan, roof);
  std::string time = report::format_duration(all.least_seconds);
  if (const std::string most = report::format_duration(all.most_seconds); most != time) time += " to " + most;
  return fmt::format(
      "estimated: {}; {} of memory for \"{}\" (weights {}, caches at their longest case at most {})\n"
      "  An estimate: operations at {:.0f} % of {:.0f} GFLOP/s, bytes at {:.0f} % of {:.1f} GB/s (both probed just "
      "now), "
      "process starts and loading\n",
      time, size(static_cast<double>(all.weight_bytes + all.kv_bytes)), all.largest_arm,
      size(static_cast<double>(all.weight_bytes)), size(static_cast<double>(all.kv_bytes)), 100 * kShareOfPeak,
      roof.fma_flops_per_second / 1e9, 100 * kShareOfBandwidth, roof.read_bytes_per_second / 1e9);
}

}  // namespace attnlab::experiment
