// A model for associative recall, with weights set by hand: it fails only for rows that its cache has dropped. Two
// layers. The first moves the code of every token's predecessor into the token's own row; the second looks for the row
// whose predecessor is the current token and adds that row's token to the stream; the head reads the token whose code
// it finds there. So after a key that was seen once before, it names the token that followed. There is no training, no
// BOS and no effective MLP, and only differences of positions are used.
// All heads of a layer do the same, so that any head layout (kv heads averaged or repeated) is the same model.
// Not here: which arms it can work in, and what it answers there (assembly/constructed_conflict.h,
// workloads/recall_prediction.h).
#pragma once

#include <span>

#include <attnlab/api.h>

#include "model/config/model_config.h"
#include "model/held_tensors.h"

namespace attnlab::model {

inline constexpr const char* kConstructedRecall = "recall";  // in `model: {constructed: ...}`
inline constexpr int kRecallCode = 128;                      // entries of a token's code
inline constexpr int kMostRecallTokens = 16384;              // codes that there are

/// The code of a token: entries +-1, the first of them +1. Codes of different tokens agree in 56, 64 or 72 of their 128
/// entries, so their correlation is at most 1/8 in size. They are the dual of a double-error-correcting BCH code
/// (Gold 1968): the traces of a x + b x^3 over the field of 128 elements.
ATTNLAB_API void write_recall_code(int token, std::span<float> out);

/// 8192 tokens, 2 layers, 4 heads on 2 kv heads, rope on the first 32 of a head's 160 channels.
[[nodiscard]] ATTNLAB_API ModelConfig constructed_recall_config();

[[nodiscard]] ATTNLAB_API HeldTensors constructed_recall_tensors(const ModelConfig& config);

}  // namespace attnlab::model
