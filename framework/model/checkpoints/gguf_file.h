// GGUF files (versions 2 and 3): keys and tensors in one mapped file. Nothing in a file is trusted: counts, lengths,
// dimensions, offsets and texts are checked against the file before they are used.
// Not here: what keys and names mean (gguf_names.h, gguf_config.h, gguf_tokenizer.h), and the numbers in blocks
// (gguf_blocks.h).
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <attnlab/api.h>

#include "model/checkpoints/mapped_file.h"
#include "model/checkpoints/safetensors.h"

namespace attnlab::model {

struct GgufFile {
  MappedFile file;
  nlohmann::json keys;              // an object; lists below "tokenizer." only, others are null
  std::vector<TensorInfo> tensors;  // as named in the file, in its order; shapes outermost first
};

/// Whether a path is meant as one: it ends in ".gguf" and is no folder.
[[nodiscard]] ATTNLAB_API bool is_gguf(const std::filesystem::path& path);

/// Error (where = the path) for whatever the format forbids, naming the key or the tensor: another version or byte
/// order, a type of tensor that is not read, a length or count beyond the end of the file, dimensions that overflow or
/// are no whole blocks, offsets that are not aligned, out of range or overlap, names that come twice, text that is no
/// UTF-8; and for one part of a model in several.
[[nodiscard]] ATTNLAB_API GgufFile open_gguf(const std::filesystem::path& path);

}  // namespace attnlab::model
