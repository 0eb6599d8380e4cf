// Goldens and what the program wrote, as plain numbers.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "golden/program.h"
#include "model/checkpoints/safetensors.h"

namespace attnlab::program_test {

inline const fs::path kOwnFixtures = fs::path(ATTNLAB_TEST_DATA_DIR) / "fixtures";
inline const fs::path kSharedFixtures = fs::path(ATTNLAB_SHARED_DIR) / "fixtures";

template <class Number>
struct Values {
  std::vector<std::int64_t> shape;
  std::vector<Number> numbers;
};

/// A tensor of a file; a failure and nothing if there is none or if it has another type.
template <class Number>
Values<Number> read_tensor(const fs::path& path, const std::string& name, model::DType dtype) {
  const model::SafetensorsFile file = model::SafetensorsFile::open(path);
  const model::TensorInfo* info = file.find(name);
  if (info == nullptr || info->dtype != dtype) {
    ADD_FAILURE() << path << " has no tensor " << name << " of type " << model::dtype_name(dtype);
    return {};
  }
  Values<Number> values{info->shape, std::vector<Number>(static_cast<std::size_t>(info->elements()))};
  std::memcpy(values.numbers.data(), file.bytes(*info).data(), info->bytes);
  return values;
}

inline Values<float> read_floats(const fs::path& path, const std::string& name) {
  return read_tensor<float>(path, name, model::DType::f32);
}

/// The largest difference of two tensors of one shape; infinite for different shapes, and NaN counts as infinite.
inline double largest_difference(const Values<float>& a, const Values<float>& b) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (a.shape != b.shape || a.numbers.empty()) return kInfinity;
  double largest = 0;
  for (std::size_t i = 0; i < a.numbers.size(); ++i) {
    const double difference = std::abs(static_cast<double>(a.numbers[i]) - static_cast<double>(b.numbers[i]));
    largest = std::isnan(difference) ? kInfinity : std::max(largest, difference);
  }
  return largest;
}

inline nlohmann::json read_manifest(const fs::path& path) {
  return nlohmann::json::parse(read_file(path));
}

/// As --ids takes them.
inline std::string ids_text(const nlohmann::json& ids) {
  std::string text;
  for (const auto& id : ids) text += std::to_string(id.get<int>()) + " ";
  return text;
}

/// Letters, digits and '_' alone, as names of tests must be.
inline std::string test_name(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return text;
}

}  // namespace attnlab::program_test
