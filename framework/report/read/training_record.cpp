#include "report/read/training_record.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <limits>
#include <string_view>
#include <system_error>

#include <attnlab/error.h>
#include <fmt/format.h>

#include "report/read/text_file.h"

namespace attnlab::report {
namespace fs = std::filesystem;

namespace {

// step,loss and what comes after.
std::optional<CurvePoint> parse_row(std::string_view line) {
  CurvePoint point;
  const char* last = line.data() + line.size();
  const auto step = std::from_chars(line.data(), last, point.step);
  if (step.ec != std::errc() || step.ptr == last || *step.ptr != ',') return std::nullopt;
  const auto loss = std::from_chars(step.ptr + 1, last, point.loss);
  if (loss.ec != std::errc() || (loss.ptr != last && *loss.ptr != ',')) return std::nullopt;
  return point;
}

// use(point, row) for every whole row of a file that may still be written.
template <class Use>
void for_every_row(const fs::path& file, const Use& use) {
  std::error_code none;
  if (!fs::exists(file, none)) return;
  const std::string text = read_text(file);
  std::size_t begin = text.find('\n') + 1;  // after the header; 0: not even that is whole
  for (int line = 2; begin > 0 && begin < text.size(); ++line) {
    const std::size_t end = text.find('\n', begin);
    if (end == std::string::npos) break;  // being written
    const std::string_view row = std::string_view(text).substr(begin, end - begin);
    const auto point = parse_row(row);
    if (!point)
      throw Error(fmt::format("{}:{}", file.string(), line), "is no row of a curve: step,loss,...",
                  "remove the file: only its curve is lost");
    use(*point, row);
    begin = end + 1;
  }
}

}  // namespace

void to_json(nlohmann::json& json, const TrainingLayout& layout) {
  json = {{"id", layout.id},
          {"arms", layout.arms},
          {"seed", layout.seed},
          {"learning_rate", layout.learning_rate},
          {"is_searched", layout.is_searched},
          {"parameters", layout.parameters},
          {"steps", layout.steps}};
}

void from_json(const nlohmann::json& json, TrainingLayout& layout) {
  layout = {.id = json.at("id"),
            .arms = json.at("arms"),
            .seed = json.value("seed", std::int64_t{0}),
            .learning_rate = json.value("learning_rate", 0.0),
            .is_searched = json.value("is_searched", false),
            .parameters = json.value("parameters", std::int64_t{0}),
            .steps = json.value("steps", std::int64_t{0})};
}

// The samples have the form of a trial's.
void to_json(nlohmann::json& json, const TrainingRecord& record) {
  const nlohmann::json trial = TrialResult{.samples = record.samples, .details = record.details};
  json = {{"id", record.id},
          {"status", record.status},
          {"reason", record.reason},
          {"learning_rate", record.learning_rate},
          {"stopped_early", record.stopped_early},
          {"trial", trial}};
}

void from_json(const nlohmann::json& json, TrainingRecord& record) {
  const TrialResult trial = json.at("trial");
  record = {.id = json.at("id"),
            .status = json.at("status"),
            .reason = json.value("reason", ""),
            .learning_rate = json.value("learning_rate", 0.0),
            .stopped_early = json.value("stopped_early", false),
            .samples = trial.samples,
            .details = trial.details};
}

fs::path curve_file(const fs::path& results, const std::string& id) {
  return results / "training" / (id + ".csv");
}

fs::path held_out_file(const fs::path& results, const std::string& id) {
  return results / "training" / (id + ".held-out.csv");
}

fs::path record_file(const fs::path& results, const std::string& id) {
  return results / "training" / (id + ".json");
}

fs::path weights_folder(const fs::path& results, const std::string& id) {
  return results / "weights" / id;
}

std::optional<TrainingRecord> read_record(const fs::path& results, const std::string& id) {
  const fs::path file = record_file(results, id);
  std::error_code none;
  if (!fs::exists(file, none)) return std::nullopt;
  try {
    return read_json(file).get<TrainingRecord>();
  } catch (const nlohmann::json::exception& error) {
    throw Error(file.string(), fmt::format("is no record of a training: {}", error.what()),
                "remove it; `run --resume` trains again");
  }
}

std::vector<CurvePoint> read_curve(const fs::path& file) {
  std::vector<CurvePoint> points;
  for_every_row(file, [&](const CurvePoint& point, std::string_view) { points.push_back(point); });
  return points;
}

std::vector<double> read_column(const fs::path& file, int column) {
  std::vector<double> values;
  for_every_row(file, [&](const CurvePoint&, std::string_view row) {
    for (int i = 0; i < column; ++i) {
      const std::size_t comma = row.find(',');
      row = comma == std::string_view::npos ? std::string_view() : row.substr(comma + 1);
    }
    double value = 0;
    const auto read = std::from_chars(row.data(), row.data() + row.size(), value);
    values.push_back(read.ec == std::errc() ? value : std::numeric_limits<double>::quiet_NaN());
  });
  return values;
}

std::optional<CurvePoint> last_point(const fs::path& file) {
  constexpr std::streamoff kTail = 400;  // a row is shorter
  std::ifstream stream(file, std::ios::binary | std::ios::ate);
  if (!stream) return std::nullopt;
  const std::streamoff size = stream.tellg();
  stream.seekg(std::max<std::streamoff>(0, size - kTail));
  std::string tail(static_cast<std::size_t>(std::min(size, kTail)), '\0');
  stream.read(tail.data(), static_cast<std::streamsize>(tail.size()));
  const std::size_t end = tail.rfind('\n');
  if (end == std::string::npos || end == 0) return std::nullopt;
  const std::size_t before = tail.rfind('\n', end - 1);
  return before == std::string::npos ? std::nullopt
                                     : parse_row(std::string_view(tail).substr(before + 1, end - before - 1));
}

}  // namespace attnlab::report
