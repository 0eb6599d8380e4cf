// The workloads as they run inside a trial: each takes a model and returns samples.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <attnlab/api.h>

#include "experiment/compression.h"
#include "experiment/quality_baseline.h"
#include "experiment/recall_prediction.h"
#include "experiment/spec_workloads.h"
#include "model/decoder.h"
#include "model/tokenizer.h"
#include "report/metrics.h"
#include "report/trial_result.h"

namespace attnlab::experiment {

/// What the caches of a measure of quality held, over its windows or examples.
struct CacheUse {
  std::vector<double> after_steps;  // bytes
  double nominal = 0;               // of rows that live at an end, at most
  double at_an_end = 0;             // bytes behind the last step; of windows of unlike lengths the most
  std::int64_t evicted = 0;         // rows

  void count_step(const model::Session& session);
  void count_end(const model::Session& session);
};

/// What a workload found out.
struct Measured {
  std::vector<report::Sample> samples;
  nlohmann::json details = nlohmann::json::object();  // as in TrialResult
  bool has_nonfinite_logits = false;                  // what look_at() has seen; such a trial is wrong

  /// Of logits that were computed, behind the time that is measured.
  void look_at(std::span<const float> logits);
  void add(std::string metric, std::string unit, std::string better, double value, bool deterministic = false);
  void add_cache(const CacheUse& use);
  /// How many tokens were scored, `read` of them by what was computed after a prompt. None of these: there is no
  /// verdict on a cache that drops or rounds rows, or turned out to drop some. And whether one that may drop did not.
  void add_scored(std::int64_t tokens, std::int64_t read, const CacheUse& use,
                  const std::optional<Compression>& compression);
};

/// Speed of one case. `first`: nothing was run before in this process, so the case runs once unmeasured.
/// `counts_all`: the arm's queries see all rows before them, so that operations can be counted from shapes.
[[nodiscard]] ATTNLAB_API Measured measure_speed(model::Decoder& decoder, const SpeedCase& speed_case,
                                                 std::uint64_t seed, bool first, bool counts_all);

/// Loss of a text through the arm's own cache, and how far the predictions are from the baseline's. Error where the
/// text cannot be used. `compression`: what the arm's caches do to rows; where no scored token has read them then, the
/// details say `no_verdict`.
[[nodiscard]] ATTNLAB_API Measured measure_perplexity(model::Decoder& decoder, const model::Tokenizer& tokenizer,
                                                      const PerplexityWorkload& workload,
                                                      const BaselineFile& baseline = {},
                                                      const std::optional<Compression>& compression = {});

/// Share of the queries whose value the model predicts, and the share that `prediction` says. Error where no query
/// comes after the prompt. `compression` as above.
[[nodiscard]] ATTNLAB_API Measured measure_recall(model::Decoder& decoder, const RecallWorkload& workload,
                                                  std::uint64_t seed, const std::optional<RecallPrediction>& prediction,
                                                  const std::optional<Compression>& compression = {});

[[nodiscard]] ATTNLAB_API Measured measure_generate(model::Decoder& decoder, const model::Tokenizer& tokenizer,
                                                    const GenerateWorkload& workload, std::uint64_t seed,
                                                    const std::optional<Compression>& compression = {});

}  // namespace attnlab::experiment
