// The workloads as they run inside a trial: each takes a model and returns samples.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <attnlab/api.h>

#include "experiment/spec_workloads.h"
#include "model/decoder.h"
#include "model/tokenizer.h"
#include "report/metrics.h"
#include "report/trial_result.h"

namespace attnlab::experiment {

/// What a workload found out.
struct Measured {
  std::vector<report::Sample> samples;
  nlohmann::json details = nlohmann::json::object();  // as in TrialResult

  void add(std::string metric, std::string unit, std::string better, double value, bool deterministic = false);
};

/// Speed of one case. `first`: nothing was run before in this process, so the case runs once unmeasured.
/// `counts_all`: the arm's queries see all rows before them, so that operations can be counted from shapes.
[[nodiscard]] ATTNLAB_API Measured measure_speed(model::Decoder& decoder, const SpeedCase& speed_case,
                                                 std::uint64_t seed, bool first, bool counts_all);

/// Loss of a text through the arm's own cache. Error where the text cannot be used.
[[nodiscard]] ATTNLAB_API Measured measure_perplexity(model::Decoder& decoder, const model::Tokenizer& tokenizer,
                                                      const PerplexityWorkload& workload);

[[nodiscard]] ATTNLAB_API Measured measure_generate(model::Decoder& decoder, const model::Tokenizer& tokenizer,
                                                    const GenerateWorkload& workload, std::uint64_t seed);

}  // namespace attnlab::experiment
