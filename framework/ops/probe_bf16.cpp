// The bf16 half of probe_kernels.h: apart from it, since Highway has no target of its own for AVX512-BF16.
#include <array>

#include <immintrin.h>

#include "ops/probe_kernels.h"

namespace attnlab {

// Sixteen sums are under way: an instruction takes 5 to 6 cycles, and one or two start in each. Named one by one, as in
// multiply_adds.
__attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16"))) ProbeWork probe_bf16_multiply_adds(
    std::int64_t rounds) {
  // Pairs (x, -x) of the sums' side meet pairs (1, 1): sums stay what they are, whatever the number of rounds.
  volatile std::uint32_t ones = 0x3f803f80, opposites = 0xbf803f80;  // known at run time only
  const auto a = reinterpret_cast<__m512bh>(_mm512_set1_epi32(static_cast<int>(ones)));
  const auto b = reinterpret_cast<__m512bh>(_mm512_set1_epi32(static_cast<int>(opposites)));
  std::array<float, 16> start;
  for (int i = 0; i < 16; ++i) start[i] = 1.0F + static_cast<float>(i) / 16.0F;
  const float* const from = start.data();
  __m512 s0 = _mm512_set1_ps(from[0]), s1 = _mm512_set1_ps(from[1]), s2 = _mm512_set1_ps(from[2]);
  __m512 s3 = _mm512_set1_ps(from[3]), s4 = _mm512_set1_ps(from[4]), s5 = _mm512_set1_ps(from[5]);
  __m512 s6 = _mm512_set1_ps(from[6]), s7 = _mm512_set1_ps(from[7]), s8 = _mm512_set1_ps(from[8]);
  __m512 s9 = _mm512_set1_ps(from[9]), s10 = _mm512_set1_ps(from[10]), s11 = _mm512_set1_ps(from[11]);
  __m512 s12 = _mm512_set1_ps(from[12]), s13 = _mm512_set1_ps(from[13]), s14 = _mm512_set1_ps(from[14]);
  __m512 s15 = _mm512_set1_ps(from[15]);
  for (std::int64_t round = 0; round < rounds; ++round) {
    s0 = _mm512_dpbf16_ps(s0, a, b);
    s1 = _mm512_dpbf16_ps(s1, a, b);
    s2 = _mm512_dpbf16_ps(s2, a, b);
    s3 = _mm512_dpbf16_ps(s3, a, b);
    s4 = _mm512_dpbf16_ps(s4, a, b);
    s5 = _mm512_dpbf16_ps(s5, a, b);
    s6 = _mm512_dpbf16_ps(s6, a, b);
    s7 = _mm512_dpbf16_ps(s7, a, b);
    s8 = _mm512_dpbf16_ps(s8, a, b);
    s9 = _mm512_dpbf16_ps(s9, a, b);
    s10 = _mm512_dpbf16_ps(s10, a, b);
    s11 = _mm512_dpbf16_ps(s11, a, b);
    s12 = _mm512_dpbf16_ps(s12, a, b);
    s13 = _mm512_dpbf16_ps(s13, a, b);
    s14 = _mm512_dpbf16_ps(s14, a, b);
    s15 = _mm512_dpbf16_ps(s15, a, b);
  }
  const __m512 low = (s0 + s1) + (s2 + s3) + ((s4 + s5) + (s6 + s7));
  const __m512 high = (s8 + s9) + (s10 + s11) + ((s12 + s13) + (s14 + s15));
  constexpr double kSums = 16.0 * 16, kOperations = 4;  // of a pair: two products, two sums
  return {kSums * kOperations * static_cast<double>(rounds),
          static_cast<std::uint64_t>(_mm512_reduce_add_ps(low + high))};
}

}  // namespace attnlab
