// Tensors of a GGUF file under the names that models ask for, and in their order of rows.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <attnlab/api.h>

#include "model/checkpoints/gguf_file.h"

namespace attnlab::model {

/// "llama", "qwen2", "qwen3": general.architecture. Error where it is missing, or none of those that are read.
[[nodiscard]] ATTNLAB_API std::string gguf_architecture(const GgufFile& gguf);

/// A number of the architecture's own keys, "attention.head_count": from 1 to 2^31 - 1. Error where it is missing and
/// there is no `absent`, or anything else.
[[nodiscard]] ATTNLAB_API std::int64_t gguf_count(const GgufFile& gguf, std::string_view key,
                                                  std::optional<std::int64_t> absent = std::nullopt);

/// Null where the file has no such tensor, by its own name.
[[nodiscard]] ATTNLAB_API const TensorInfo* find_tensor(const GgufFile& gguf, std::string_view name);

/// The name of a tensor in Hugging Face layout: "model.layers.0.self_attn.q_proj.weight" for "blk.0.attn_q.weight". One
/// that has none there keeps its own.
[[nodiscard]] ATTNLAB_API std::string checkpoint_name(std::string_view own);
/// The other way round.
[[nodiscard]] ATTNLAB_API std::string gguf_name(std::string_view of_checkpoint);

/// Leaves the tensors that a checkpoint would have, without what belongs to the configuration (rope_freqs.weight). In
/// files of the Llama architecture rows of queries and keys are stored so that rotation turns components side by side:
/// those tensors are marked. Error where their rows are no heads.
ATTNLAB_API void arrange_as_checkpoint(GgufFile& gguf);

}  // namespace attnlab::model
