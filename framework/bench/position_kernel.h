// Position schemes: what a scheme does to a chunk of tokens, in each of the places where it acts.
#pragma once

#include "bench/kernel.h"

namespace attnlab::bench {

/// Adds to the chunk's embeddings, rotates its queries and keys (after copying them into place, as the core does), and
/// puts its bias on the tiles of scores of the chunk's queries against the context.
[[nodiscard]] std::unique_ptr<Kernel> make_position_kernel(const Registry& registry, const Entry& entry);

}  // namespace attnlab::bench
