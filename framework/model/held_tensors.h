// Tensors that come from code and not from a file: small models whose weights are set by hand. The third source of
// weights, besides a checkpoint and a seed.
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
