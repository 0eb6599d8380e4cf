// training.csv: a row a step, which can be read while the training runs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include <attnlab/api.h>

namespace attnlab::training {

struct TrainingRow {
  std::int64_t step = 0;     // from 1
  double loss = 0;           // before the step's update
  double gradient_norm = 0;  // before clipping
  double learning_rate = 0;
  std::int64_t tokens = 0;  // predicted so far, this step's included
  double seconds = 0;       // so far
};

/// A row of the evaluations beside a curve, in nats a prediction.
struct EvaluationRow {
  std::int64_t step = 0;
  double loss = 0;
  double accuracy = 0;
};
void to_json(nlohmann::json& json, const EvaluationRow& row);
void from_json(const nlohmann::json& json, EvaluationRow& row);

/// step,loss,accuracy: all rows, in place of a file that is there. Error where it cannot be written.
ATTNLAB_API void write_evaluations(const std::filesystem::path& path, const std::vector<EvaluationRow>& rows);

/// Every row is handed to the system whole as it is added: also after a kill the file holds whole rows.
class ATTNLAB_API TrainingCsv {
 public:
  /// A new file with its header alone, in place of one that is there. Errors of all name the path.
  [[nodiscard]] static TrainingCsv begin(const std::filesystem::path& path);
  /// Continues after the first `bytes` of the file: what stands after them belongs to steps that are made again. Error
  /// where these are not there, or do not end with a row.
  [[nodiscard]] static TrainingCsv resume(const std::filesystem::path& path, std::uintmax_t bytes);

  TrainingCsv(TrainingCsv&& other) noexcept;
  TrainingCsv& operator=(TrainingCsv&& other) noexcept;
  TrainingCsv(const TrainingCsv&) = delete;
  TrainingCsv& operator=(const TrainingCsv&) = delete;
  ~TrainingCsv();

  /// Numbers with the fewest digits that give the same double again.
  void add(const TrainingRow& row);
  /// What a kept state refers to must be on the disk before it: syncs, and returns the bytes so far.
  std::uintmax_t sync();

 private:
  TrainingCsv(std::filesystem::path path, int descriptor, std::uintmax_t bytes);
  void write(std::string_view text);

  std::filesystem::path path_;
  int descriptor_ = -1;
  std::uintmax_t bytes_ = 0;
};

}  // namespace attnlab::training
