// Folders, layouts and trials that the tests of the report share.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "report/read/study_layout.h"
#include "report/read/trial_result.h"

namespace attnlab::report::test {

/// An empty folder that goes away with its contents.
class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "attnlab-report-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path_ = name;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

inline void write_plainly(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

inline std::string read_plainly(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline ArmLayout arm(const std::string& attention, const std::string& cache = "full") {
  return {.name = attention + "/" + cache, .attention = attention, .position = "rope", .cache = cache};
}

/// A trial of `speed q512` that ended well.
inline TrialResult trial(const ArmLayout& arm, int round, std::vector<Sample> samples) {
  TrialResult result;
  result.id = arm.attention + "-" + arm.cache + "-" + std::to_string(round);
  result.arm = arm.name;
  result.attention = arm.attention;
  result.position = arm.position;
  result.cache = arm.cache;
  result.workload = "speed";
  result.case_name = "q512";
  result.round = round;
  result.samples = std::move(samples);
  return result;
}

inline Sample prefill(double tokens_per_second) {
  return {"prefill_tokens_per_second", "tokens/s", "higher", tokens_per_second, false};
}

inline Sample kv_bytes(double bytes) {
  return {"kv_bytes_allocated", "bytes", "lower", bytes, true};
}

inline StudyLayout layout(std::vector<ArmLayout> arms) {
  StudyLayout study;
  study.name = "kv-heads";
  study.question = "What do fewer heads buy?";
  study.arms = std::move(arms);
  study.cases = {{"speed", "q512"}};
  study.rounds = 7;
  return study;
}

}  // namespace attnlab::report::test
