// Attention blocks, cache policies and storages: new tokens go through one layer whose cache was filled.
#pragma once

#include "bench/kernel.h"

namespace attnlab::bench {

/// decode: one token, the last of which sees the context. prefill: the last chunk of a prompt of that length, with what
/// the policy does at the end of a prompt. With its projections for attention variants, without them for the others.
[[nodiscard]] std::unique_ptr<Kernel> make_layer_kernel(const Registry& registry, const Entry& entry);

}  // namespace attnlab::bench
