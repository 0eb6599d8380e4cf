// The metrics that have a standard name: their order in every table, their headings, and which of them a reader looks
// for first. A metric that is not listed works all the same: it comes after these, under its own name.
#pragma once

#include <span>
#include <string_view>

namespace attnlab::report {

/// Where a metric has a column. `report`: in report.md; `everywhere`: on the terminal too.
enum class Headline { none, report, everywhere };

struct MetricInfo {
  std::string_view name;
  std::string_view heading;
  Headline headline = Headline::none;
};

/// In the order of the tables.
[[nodiscard]] std::span<const MetricInfo> standard_metrics();

/// "decode tokens/s"; the name itself of a metric that is not there.
[[nodiscard]] std::string_view metric_heading(std::string_view name);

/// Index into standard_metrics(), or its size for a metric that is not there.
[[nodiscard]] std::size_t metric_rank(std::string_view name);

/// Shares of the measured roof, unit "share". Above 1 they say that the machine was faster than when its roof was
/// measured, so they are only to be given where the bytes that were read cannot have come from a cache.
inline constexpr std::string_view kShareOfFmaPeak = "share_of_fma_peak";
inline constexpr std::string_view kShareOfBf16Peak = "share_of_bf16_peak";  // of what multiplies bf16
inline constexpr std::string_view kShareOfReadBandwidth = "share_of_read_bandwidth";
[[nodiscard]] constexpr bool is_share_of_roof(std::string_view metric) noexcept {
  return metric == kShareOfFmaPeak || metric == kShareOfBf16Peak || metric == kShareOfReadBandwidth;
}
/// A step that goes over less than this many times the L3 may be served by it: it has no share of the bandwidth.
inline constexpr double kCachesHold = 4;
/// What trials measure; reports hold it against the roof that was measured beside the trial.
inline constexpr std::string_view kOperationsPerSecond = "operations_per_second";
inline constexpr std::string_view kBytesPerSecond = "bytes_read_per_second";
/// How many tokens a figure of quality is the mean over.
inline constexpr std::string_view kTokensScored = "tokens_scored";
inline constexpr std::string_view kRowsEvicted = "rows_evicted";
/// Those that reports know as more than a column: headlines of the verdict, figures of a text.
inline constexpr std::string_view kPrefill = "prefill_tokens_per_second";
inline constexpr std::string_view kTimeToFirstToken = "time_to_first_token_s";
inline constexpr std::string_view kDecode = "decode_tokens_per_second";
inline constexpr std::string_view kKvBytes = "kv_bytes_allocated";
inline constexpr std::string_view kNllPerToken = "nll_per_token";
inline constexpr std::string_view kPerplexity = "perplexity";
inline constexpr std::string_view kKlToBaseline = "kl_to_baseline";
inline constexpr std::string_view kSameTopToken = "same_top_token";
inline constexpr std::string_view kSameBits = "same_bits_as_baseline";
inline constexpr std::string_view kRecallPredicted = "recall_predicted";
inline constexpr std::string_view kRecallAccuracy = "recall_accuracy";
inline constexpr std::string_view kAnswerAccuracy = "answer_accuracy";
inline constexpr std::string_view kAnswerAccuracyBySum = "answer_accuracy_by_sum";
inline constexpr std::string_view kTokenAccuracy = "token_accuracy";
/// The workload of trainings: one trial for each arm and seed, so that its figures vary with the seed alone.
inline constexpr std::string_view kTrain = "train";
/// Of workload `train`.
inline constexpr std::string_view kTrainLoss = "train_loss";
inline constexpr std::string_view kValidationLoss = "validation_loss";
inline constexpr std::string_view kBitsPerByte = "bits_per_byte";
inline constexpr std::string_view kAccuracy = "accuracy";
inline constexpr std::string_view kAboveOptimum = "nats_above_optimum";
inline constexpr std::string_view kTrainTokensPerSecond = "train_tokens_per_second";
inline constexpr std::string_view kTrainSeconds = "train_seconds";
inline constexpr std::string_view kTrainSteps = "train_steps";
inline constexpr std::string_view kLearningRate = "learning_rate";

/// What depends on weights and data, not on speed or size.
[[nodiscard]] bool is_quality(std::string_view metric);
/// A share of questions or tokens that were answered, whose examples are compared one by one.
[[nodiscard]] bool is_share_of_answers(std::string_view metric);
/// KL, the same top token, the same bits: distances from the predictions of one arm.
[[nodiscard]] bool is_measured_against_an_arm(std::string_view metric);

}  // namespace attnlab::report
