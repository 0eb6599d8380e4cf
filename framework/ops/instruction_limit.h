// ATTNLAB_MAX_ISA: the most that kernels may use of this CPU's instructions, so that the paths of a smaller CPU can be
// tested and measured on a larger one.
#pragma once

#include <string>

#include <attnlab/api.h>

namespace attnlab {

/// The limit as it was set ("avx2", "avx512" or "avx512_bf16"); empty: none. Another value ends the program when the
/// library is loaded.
[[nodiscard]] ATTNLAB_API const std::string& instruction_limit();

}  // namespace attnlab
