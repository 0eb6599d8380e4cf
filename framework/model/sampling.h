// The next token from logits: greedy, or drawn at a temperature from the top k and the nucleus p (Holtzman et al.
// 2020). The same seed draws the same tokens on every machine.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <attnlab/api.h>
#include <attnlab/random.h>

#include "model/tokenizers/tokenizer.h"

namespace attnlab::model {

struct SamplingOptions {
  double temperature = 0;  // 0: greedy
  int top_k = 0;           // 0: all
  double top_p = 1;        // in (0, 1]
  std::uint64_t seed = 1;
};

/// The id of the largest logit; of equal ones the lowest.
[[nodiscard]] ATTNLAB_API TokenId argmax(std::span<const float> logits);

class ATTNLAB_API Sampler {
 public:
  explicit Sampler(const SamplingOptions& options);
  [[nodiscard]] TokenId next(std::span<const float> logits);

 private:
  SamplingOptions options_;
  SplitMix64 random_;
  std::vector<std::pair<float, TokenId>> candidates_;
};

}  // namespace attnlab::model
