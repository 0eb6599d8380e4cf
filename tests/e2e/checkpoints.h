// A small checkpoint folder that the tests can spoil: the fixture llama-mqa, tensor by tensor.
#pragma once

#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "golden/program.h"
#include "model/checkpoints/safetensors.h"

namespace attnlab::program_test {

/// Its prompt is 48 ids below 256; two layers, hidden 64, 8 heads, 1 kv head, an output head of its own.
inline const fs::path kCheckpoint = fs::path(ATTNLAB_TEST_DATA_DIR) / "fixtures" / "models" / "llama-mqa";

struct EditedTensor {
  std::string name;
  model::DType dtype;
  std::vector<std::int64_t> shape;
  std::vector<std::byte> bytes;
};

class EditedCheckpoint {
 public:
  explicit EditedCheckpoint(const fs::path& folder = kCheckpoint)
      : config(nlohmann::ordered_json::parse(read_file(folder / "config.json"))) {
    const model::SafetensorsFile file = model::SafetensorsFile::open(folder / "model.safetensors");
    for (const model::TensorInfo& tensor : file.tensors()) {
      const auto bytes = file.bytes(tensor);
      tensors.push_back({tensor.name, tensor.dtype, tensor.shape, {bytes.begin(), bytes.end()}});
    }
  }

  EditedTensor& tensor(const std::string& name) {
    const auto found = std::find_if(tensors.begin(), tensors.end(), [&](const auto& one) { return one.name == name; });
    if (found == tensors.end()) throw std::runtime_error("the checkpoint has no " + name);
    return *found;
  }
  void remove(const std::string& name) {
    std::erase_if(tensors, [&](const auto& one) { return one.name == name; });
  }
  void set(const std::string& name, std::size_t element, float value) {
    std::memcpy(tensor(name).bytes.data() + element * sizeof value, &value, sizeof value);
  }

  /// Writes config.json and model.safetensors into a folder of the sandbox.
  void save(const Sandbox& sandbox, const std::string& folder) const {
    sandbox.write(folder + "/config.json", config.dump(1));
    std::vector<model::OutputTensor> out;
    for (const EditedTensor& tensor : tensors) out.push_back({tensor.name, tensor.dtype, tensor.shape, tensor.bytes});
    model::write_safetensors(sandbox / folder / "model.safetensors", out);
  }

  nlohmann::ordered_json config;
  std::vector<EditedTensor> tensors;
};

/// A safetensors file with this header, whatever it says, and so many bytes of data.
inline std::string safetensors_text(std::string_view header, std::size_t data_bytes) {
  const std::uint64_t length = header.size();
  std::string text(sizeof length, '\0');
  std::memcpy(text.data(), &length, sizeof length);
  return text.append(header).append(data_bytes, '\0');
}

}  // namespace attnlab::program_test
