// The header of a safetensors file, separate from the mapping so that tests and a fuzzer can feed it text.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <attnlab/api.h>
#include "model/checkpoints/safetensors.h"

namespace attnlab::model {

struct SafetensorsHeader {
  std::vector<TensorInfo> tensors;              // in the order of their data
  std::map<std::string, std::string> metadata;  // as written
};

/// Parses and checks the JSON of a header. `data_start` is where the data begin in the file, `data_bytes` how many
/// there are. Error (where = `where`) for whatever the format forbids:
/// no object, duplicate keys, missing or unknown fields, unknown types, bad shapes, sizes that overflow or do not fit
/// the shape, offsets that are out of range or overlap, holes and trailing bytes, metadata that are no string map.
[[nodiscard]] ATTNLAB_API SafetensorsHeader parse_safetensors_header(std::string_view json, std::size_t data_start,
                                                                     std::size_t data_bytes, const std::string& where);

}  // namespace attnlab::model
