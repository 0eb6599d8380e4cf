// What a workload finds out in a trial: samples, details, and what the caches held meanwhile.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <attnlab/api.h>

#include "assembly/compression.h"
#include "model/decoder.h"
#include "report/read/metrics.h"
#include "report/read/trial_result.h"

namespace attnlab::experiment {

/// What the caches of a measure of quality held, over its windows or examples.
struct CacheUse {
  std::vector<double> after_steps;  // bytes
  double nominal = 0;               // of rows that live at an end, at most
  double at_an_end = 0;             // bytes after the last step; of windows of unlike lengths the most
  std::int64_t evicted = 0;         // rows

  void count_step(const model::Session& session);
  void count_end(const model::Session& session);
};

/// What a workload found out.
struct ATTNLAB_API Measured {
  std::vector<report::Sample> samples;
  nlohmann::json details = nlohmann::json::object();  // as in TrialResult
  bool has_nonfinite_logits = false;                  // what look_at() has seen; such a trial is wrong

  /// Of logits that were computed, after the time that is measured.
  void look_at(std::span<const float> logits);
  void add(std::string metric, std::string unit, std::string better, double value, bool deterministic = false);
  void add_cache(const CacheUse& use);
  /// How many tokens were scored, `read` of them by what was computed after a prompt. None of these: there is no
  /// verdict on a cache that drops or rounds rows, or turned out to drop some. And whether one that may drop did not.
  void add_scored(std::int64_t tokens, std::int64_t read, const CacheUse& use,
                  const std::optional<Compression>& compression);
};

}  // namespace attnlab::experiment
