// What instructions this CPU has, where a choice depends on it.
#pragma once

#include <attnlab/api.h>

namespace attnlab::experiment {

/// Whether it multiplies bf16 by instructions of its own, and the library of products may use them.
[[nodiscard]] ATTNLAB_API bool multiplies_bf16();

/// Why what was asked for in bf16 is refused without them.
inline constexpr const char* kNoBf16 =
    "bf16 is multiplied by instructions that this CPU does not have (AVX512-BF16 or AMX): it would be emulated, slower "
    "than f32";

}  // namespace attnlab::experiment
