// The loops that measure what this machine can do at most: arithmetic from registers, and reading from memory.
// They use the instruction set that the kernels of the model use, so that their figures are the kernels' roof.
// One thread each, no timing: the caller takes the times (see machine/roof.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include <attnlab/api.h>

namespace attnlab {

/// What a probe did, and a value that depends on all of it, so that no compiler can leave it out.
struct ProbeWork {
  double amount;  // floating-point operations, or bytes read
  std::uint64_t witness;
};

/// `rounds` times one f32 multiply-add on every independent accumulator; nothing but registers is touched.
[[nodiscard]] ATTNLAB_API ProbeWork probe_multiply_adds(std::int64_t rounds);

/// The same in pairs of bf16 with sums in f32. The CPU must multiply bf16 (has_bf16_products).
[[nodiscard]] ATTNLAB_API ProbeWork probe_bf16_multiply_adds(std::int64_t rounds);

/// Reads `bytes` once as `streams` equal runs side by side (1, 2 or 4), each from front to back.
/// Start and size must be multiples of kProbeGranule.
[[nodiscard]] ATTNLAB_API ProbeWork probe_read(std::span<const std::byte> bytes, int streams);

inline constexpr std::size_t kProbeGranule = 4096;

/// The instruction set the kernels run on here, as Highway names it ("AVX3"), and Highway's own version ("1.0.3").
[[nodiscard]] ATTNLAB_API std::string simd_target();
[[nodiscard]] ATTNLAB_API std::string simd_library_version();

}  // namespace attnlab
