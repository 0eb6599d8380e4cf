// Small safetensors files, and why a folder of them is no checkpoint, for the tests of checkpoints.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "model/checkpoints/checkpoint.h"
#include "unit/model_test_files.h"

namespace attnlab::model_test {

/// Four ones under each name.
inline void write_tensors(const std::filesystem::path& path, const std::vector<std::string>& names) {
  const std::vector<float> ones(4, 1.0F);
  std::vector<model::OutputTensor> tensors;
  for (const std::string& name : names) tensors.push_back({name, model::DType::f32, {4}, bytes_of(ones)});
  model::write_safetensors(path, tensors);
}

inline std::string open_refusal(const std::filesystem::path& folder) {
  return refusal([&] { static_cast<void>(model::Checkpoint::open(folder)); });
}

}  // namespace attnlab::model_test
