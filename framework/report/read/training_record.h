// What a training of a study left in its results folder, for reports: what was planned, how far it came, and how it
// ended. Live too: a curve is read while its training writes it.
//   training/<id>.csv            step,loss,gradient_norm,learning_rate,tokens,seconds: a row a step
//   training/<id>.held-out.csv   step,loss,accuracy: a row an evaluation, in nats a prediction
//   training/<id>.json           TrainingRecord, once it has ended
//   weights/<id>/                the checkpoint of one that did not diverge
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <attnlab/api.h>

#include "report/read/trial_result.h"

namespace attnlab::report {

/// As the study planned it. Arms that differ in their caches only share one.
struct TrainingLayout {
  std::string id;
  std::vector<std::string> arms;  // names, in the order of the study
  std::int64_t seed = 0;
  double learning_rate = 0;  // of the optimiser, before its schedule
  bool is_searched = false;  // one of several rates, of which an arm keeps one
  std::int64_t parameters = 0;
  std::int64_t steps = 0;  // planned; 0: as many as its time allows

  friend bool operator==(const TrainingLayout&, const TrainingLayout&) = default;
};

void to_json(nlohmann::json& json, const TrainingLayout& layout);
void from_json(const nlohmann::json& json, TrainingLayout& layout);

/// How a training ended.
struct TrainingRecord {
  std::string id;
  std::string status = "ok";  // "ok", "diverged", "failed", "timed_out"
  std::string reason;         // where it is not ok
  double learning_rate = 0;   // of the optimiser, before its schedule
  bool stopped_early = false;
  std::vector<Sample> samples;                        // of workload `train`
  nlohmann::json details = nlohmann::json::object();  // as TrialResult::details
};

void to_json(nlohmann::json& json, const TrainingRecord& record);
/// Throws nlohmann::json::exception for what is no record.
void from_json(const nlohmann::json& json, TrainingRecord& record);

/// The files of a training, in a results folder.
[[nodiscard]] ATTNLAB_API std::filesystem::path curve_file(const std::filesystem::path& results, const std::string& id);
[[nodiscard]] ATTNLAB_API std::filesystem::path held_out_file(const std::filesystem::path& results,
                                                              const std::string& id);
[[nodiscard]] ATTNLAB_API std::filesystem::path record_file(const std::filesystem::path& results,
                                                            const std::string& id);
[[nodiscard]] ATTNLAB_API std::filesystem::path weights_folder(const std::filesystem::path& results,
                                                               const std::string& id);

/// None where it has not ended. Error naming the file where that is damaged.
[[nodiscard]] ATTNLAB_API std::optional<TrainingRecord> read_record(const std::filesystem::path& results,
                                                                    const std::string& id);

/// One point of a curve.
struct CurvePoint {
  std::int64_t step = 0;
  double loss = 0;

  friend bool operator==(const CurvePoint&, const CurvePoint&) = default;
};

/// Of a curve or an evaluation file, in order; none where the file is not there. A last line that is not whole yet is
/// left out; Error naming file and line for any other that is no row.
[[nodiscard]] ATTNLAB_API std::vector<CurvePoint> read_curve(const std::filesystem::path& file);

/// The last whole row, looked for at the end of the file; none where there is none yet.
[[nodiscard]] ATTNLAB_API std::optional<CurvePoint> last_point(const std::filesystem::path& file);
/// Column `column` (from 0) of the same rows, in the same order; NaN where a row has no number there.
[[nodiscard]] ATTNLAB_API std::vector<double> read_column(const std::filesystem::path& file, int column);
inline constexpr int kSecondsOfCurve = 5;
inline constexpr int kAccuracyOfHeldOut = 2;

}  // namespace attnlab::report
