// What one trial found out: the raw samples that every table is made from, or the reason why there are none.
// One JSON file per trial in trials/; reports are rebuilt from these files alone.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <attnlab/api.h>
#include <nlohmann/json.hpp>

namespace attnlab::report {

/// One figure of one round.
struct Sample {
  std::string metric;             // a standard name, see metrics.h
  std::string unit;               // "tokens/s", "s", "bytes", "nats", "" for counts and shares
  std::string better = "none";    // "higher", "lower" or "none"
  double value = 0;               // may be NaN or infinite
  bool is_deterministic = false;  // the same in every round by construction: bytes, perplexity

  friend bool operator==(const Sample&, const Sample&) = default;
};

struct TrialResult {
  std::string id;  // hash of all that the trial depends on; the file is trials/<id>.json
  std::string arm, attention, position, cache;
  std::string workload;
  std::string case_name;      // "case" in the files; the batch of `speed`
  int round = 0;              // trials of one round and seed are pairs
  std::int64_t seed = 0;      // of the weights and of what is drawn; a study may have several
  std::string status = "ok";  // "ok", "failed", "timed_out", "refused", "wrong", "diverged" (the training of its arm);
                              // all but the first have no samples
  std::string reason;         // where the status is not ok
  std::vector<Sample> samples;
  /// Free. The reports know: "prompt" and "text" (what `generate` wrote), "notes" (sentences on the arm in this case),
  /// "no_verdict" (a sentence: why nothing may be concluded from the figures, which are shown and compared with none),
  /// "keeps_every_row" (true: of a quality that was measured through a cache that neither drops nor rounds rows),
  /// "evicted_nothing" (true: a cache that may drop rows dropped none, so the figures say nothing of what that costs),
  /// "threads" (where they are not those of the study, whose best roof is no bound then), "roof"
  /// ({"fma_flops_per_second", "read_bytes_per_second", "bf16_flops_per_second"}: what the machine could do beside the
  /// trial; 0 or missing where it was not asked for), "windows" ({"tokens", "nll", "kl", "same_top"}, one number per
  /// text window, sums over its counted tokens; the last two only where there was a baseline to compare with),
  /// "examples" of recall, answers and continuation ({"queries", "right"}, of the last "right_by_sum" too: counts by
  /// example), "asked" of answers
  /// ({"tokens", "right"}, the same of single tokens), "token_latencies_s" (at most 512, in the order of time),
  /// "training" of workload `train` ({"id", "learning_rate", "parameters", "stopped_early"}: the training that the arm
  /// keeps for this seed), "slices" ({"<metric>": [seconds of each slice, in the order of time], "together": equal in
  /// trials that took turns with each other}). "compute": what products multiply, where it is
  /// not f32. "node" ({"name", "kind", "together"}): on which machine of several it was measured; equal
  /// kinds have the same CPU, and what is "together" was one round in one job.
  nlohmann::json details = nlohmann::json::object();

  [[nodiscard]] bool is_ok() const { return status == "ok"; }
};

/// Whether a trial that ended so should have ended otherwise: what is refused, or diverges, is a finding.
[[nodiscard]] inline bool is_fault(const std::string& status) {
  return status != "ok" && status != "refused" && status != "diverged";
}

/// Doubles in full; NaN and infinities as the strings "nan", "inf", "-inf".
ATTNLAB_API void to_json(nlohmann::json& json, const TrialResult& trial);
/// Throws nlohmann::json::exception or Error for what is no trial, or is one of a newer format.
ATTNLAB_API void from_json(const nlohmann::json& json, TrialResult& trial);

/// The file's text. Bytes that are not UTF-8 are replaced.
[[nodiscard]] ATTNLAB_API std::string json_text(const nlohmann::json& json);

/// Writes `<folder>/<trial.id>.json` atomically.
ATTNLAB_API void write_trial(const std::filesystem::path& folder, const TrialResult& trial);

/// `<folder>/<id>.json`; none where there is no such file, Error naming it where it is damaged.
[[nodiscard]] ATTNLAB_API std::optional<TrialResult> read_trial(const std::filesystem::path& folder,
                                                                const std::string& id);

/// All `*.json` of the folder, by round, seed, then by file name. A file that is damaged is an Error that names it.
[[nodiscard]] ATTNLAB_API std::vector<TrialResult> read_trials(const std::filesystem::path& folder);

/// Parses one file; throws Error naming it.
[[nodiscard]] ATTNLAB_API nlohmann::json read_json(const std::filesystem::path& path);

}  // namespace attnlab::report
