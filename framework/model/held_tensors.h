// Tensors that code made instead of a file: small models whose weights are set by hand. The third source of weights
// beside a checkpoint and a seed.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace attnlab::model {

struct HeldTensor {
  std::vector<std::int64_t> shape;
  std::vector<float> values;  // row after row
};

struct HeldTensors {
  std::string model;  // whose they are, for messages
  std::map<std::string, HeldTensor, std::less<>> by_name;
};

}  // namespace attnlab::model
