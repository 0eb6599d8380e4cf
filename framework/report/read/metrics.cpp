#include "report/read/metrics.h"

#include <algorithm>
#include <array>

namespace attnlab::report {
namespace {

constexpr std::array kMetrics = {
    MetricInfo{kPrefill, "prefill tokens/s", Headline::everywhere},
    MetricInfo{kDecode, "decode tokens/s", Headline::everywhere},
    MetricInfo{kTimeToFirstToken, "time to first token", Headline::report},
    MetricInfo{"token_latency_p50_s", "token latency p50"},
    MetricInfo{"token_latency_p95_s", "token latency p95", Headline::report},
    MetricInfo{"token_latency_p99_s", "token latency p99"},
    MetricInfo{"attention_core_s", "attention core", Headline::report},
    MetricInfo{"attention_mass_s", "attention mass", Headline::everywhere},
    MetricInfo{kKvBytes, "KV cache", Headline::everywhere},
    MetricInfo{"kv_bytes_nominal", "KV nominal", Headline::everywhere},
    MetricInfo{"peak_rss_bytes", "peak memory", Headline::everywhere},
    MetricInfo{"weight_bytes", "weights"},
    MetricInfo{kNllPerToken, "nll per token"},
    MetricInfo{kPerplexity, "perplexity", Headline::everywhere},
    MetricInfo{kKlToBaseline, "KL to baseline", Headline::everywhere},
    MetricInfo{kSameTopToken, "same top token", Headline::everywhere},
    MetricInfo{kSameBits, "same bits", Headline::report},
    MetricInfo{kRecallAccuracy, "recall", Headline::everywhere},
    MetricInfo{kRecallPredicted, "recall predicted", Headline::everywhere},
    MetricInfo{kAnswerAccuracy, "right answers", Headline::everywhere},
    MetricInfo{kAnswerAccuracyBySum, "right by sum", Headline::report},
    MetricInfo{kTokenAccuracy, "right tokens", Headline::report},
    MetricInfo{kTrainLoss, "train loss"},
    MetricInfo{kValidationLoss, "validation loss", Headline::everywhere},
    MetricInfo{kBitsPerByte, "bits per byte", Headline::everywhere},
    MetricInfo{kAccuracy, "accuracy", Headline::everywhere},
    MetricInfo{kAboveOptimum, "above optimum", Headline::everywhere},
    MetricInfo{kLearningRate, "learning rate", Headline::report},
    MetricInfo{kTrainSteps, "steps", Headline::report},
    MetricInfo{kTrainSeconds, "training time", Headline::report},
    MetricInfo{kTrainTokensPerSecond, "trained tokens/s", Headline::everywhere},
    MetricInfo{kTokensScored, "tokens scored", Headline::everywhere},
    MetricInfo{"kv_bytes_mean", "KV mean", Headline::everywhere},
    MetricInfo{"kv_bytes_peak", "KV peak"},
    MetricInfo{kRowsEvicted, "rows evicted", Headline::report},
    MetricInfo{kOperationsPerSecond, "operations/s"},
    MetricInfo{kBytesPerSecond, "bytes read/s"},
    MetricInfo{kShareOfFmaPeak, "of FMA peak", Headline::everywhere},
    MetricInfo{kShareOfBf16Peak, "of bf16 peak", Headline::everywhere},
    MetricInfo{kShareOfReadBandwidth, "of read bandwidth", Headline::everywhere},
};

}  // namespace

std::span<const MetricInfo> standard_metrics() {
  return kMetrics;
}

std::string_view metric_heading(std::string_view name) {
  const std::size_t rank = metric_rank(name);
  return rank < kMetrics.size() ? kMetrics[rank].heading : name;
}

std::size_t metric_rank(std::string_view name) {
  return static_cast<std::size_t>(std::ranges::find(kMetrics, name, &MetricInfo::name) - kMetrics.begin());
}

bool is_measured_against_an_arm(std::string_view metric) {
  return metric == kKlToBaseline || metric == kSameTopToken || metric == kSameBits;
}

bool is_share_of_answers(std::string_view metric) {
  return metric == kRecallAccuracy || metric == kAnswerAccuracy || metric == kAnswerAccuracyBySum ||
         metric == kTokenAccuracy;
}

bool is_quality(std::string_view metric) {
  return metric == kNllPerToken || metric == kPerplexity || is_share_of_answers(metric) || metric == kRecallPredicted ||
         metric == kTrainLoss || metric == kValidationLoss || metric == kBitsPerByte || metric == kAccuracy ||
         metric == kAboveOptimum || is_measured_against_an_arm(metric);
}

}  // namespace attnlab::report
