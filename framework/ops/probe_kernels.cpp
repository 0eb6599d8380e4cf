#include "ops/probe_kernels.h"

#include <array>

#define HWY_DISABLED_TARGETS HWY_SSSE3
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/probe_kernels.cpp"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace attnlab::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// A multiply-add takes 4 to 5 cycles and two start in each, so 8 to 10 must be under way. 16 are; where there are only
// 16 registers (AVX2, SSE4) two of them hold the factors, and 12 are enough as well.
// Named one by one, since an array of them may be spilled; started from different numbers that are only known at run
// time, since equal accumulators could be computed once.
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_SSE4
constexpr int kAccumulators = 12;
#else
constexpr int kAccumulators = 16;
#endif

ProbeWork multiply_adds(std::int64_t rounds, const float* start, float factor, float term) {
  const hn::ScalableTag<float> d;
  const auto m = hn::Set(d, factor);
  const auto a = hn::Set(d, term);
  auto s0 = hn::Set(d, start[0]), s1 = hn::Set(d, start[1]), s2 = hn::Set(d, start[2]), s3 = hn::Set(d, start[3]);
  auto s4 = hn::Set(d, start[4]), s5 = hn::Set(d, start[5]), s6 = hn::Set(d, start[6]), s7 = hn::Set(d, start[7]);
  auto s8 = hn::Set(d, start[8]), s9 = hn::Set(d, start[9]), s10 = hn::Set(d, start[10]), s11 = hn::Set(d, start[11]);
  auto s12 = hn::Set(d, start[12]), s13 = hn::Set(d, start[13]), s14 = hn::Set(d, start[14]),
       s15 = hn::Set(d, start[15]);
  for (std::int64_t round = 0; round < rounds; ++round) {
    s0 = hn::MulAdd(s0, m, a);
    s1 = hn::MulAdd(s1, m, a);
    s2 = hn::MulAdd(s2, m, a);
    s3 = hn::MulAdd(s3, m, a);
    s4 = hn::MulAdd(s4, m, a);
    s5 = hn::MulAdd(s5, m, a);
    s6 = hn::MulAdd(s6, m, a);
    s7 = hn::MulAdd(s7, m, a);
    s8 = hn::MulAdd(s8, m, a);
    s9 = hn::MulAdd(s9, m, a);
    s10 = hn::MulAdd(s10, m, a);
    s11 = hn::MulAdd(s11, m, a);
    if constexpr (kAccumulators == 16) {
      s12 = hn::MulAdd(s12, m, a);
      s13 = hn::MulAdd(s13, m, a);
      s14 = hn::MulAdd(s14, m, a);
      s15 = hn::MulAdd(s15, m, a);
    }
  }
  const auto first = hn::Add(hn::Add(hn::Add(s0, s1), hn::Add(s2, s3)), hn::Add(hn::Add(s4, s5), hn::Add(s6, s7)));
  const auto second =
      hn::Add(hn::Add(hn::Add(s8, s9), hn::Add(s10, s11)), hn::Add(hn::Add(s12, s13), hn::Add(s14, s15)));
  const float sum = hn::GetLane(hn::SumOfLanes(d, hn::Add(first, second)));
  return {2.0 * kAccumulators * static_cast<double>(hn::Lanes(d)) * static_cast<double>(rounds),
          static_cast<std::uint64_t>(sum)};
}

// 1 KiB of every stream in turn, so that each stream stays sequential for the hardware's prefetcher.
ProbeWork read_streams(const std::uint64_t* words, std::size_t run_words, int streams) {
  const hn::ScalableTag<std::uint64_t> d;
  const std::size_t lanes = hn::Lanes(d);
  constexpr std::size_t kTurnWords = 128;
  auto s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0;
  for (std::size_t turn = 0; turn < run_words; turn += kTurnWords) {
    for (int stream = 0; stream < streams; ++stream) {
      const std::uint64_t* from = words + static_cast<std::size_t>(stream) * run_words + turn;
      for (std::size_t i = 0; i < kTurnWords; i += 4 * lanes) {
        s0 = hn::Xor(s0, hn::LoadU(d, from + i));
        s1 = hn::Xor(s1, hn::LoadU(d, from + i + lanes));
        s2 = hn::Xor(s2, hn::LoadU(d, from + i + 2 * lanes));
        s3 = hn::Xor(s3, hn::LoadU(d, from + i + 3 * lanes));
      }
    }
  }
  const auto mixed = hn::Xor(hn::Xor(s0, s1), hn::Xor(s2, s3));
  return {static_cast<double>(run_words) * streams * sizeof(std::uint64_t), hn::GetLane(hn::SumOfLanes(d, mixed))};
}

const char* target_name() {
  return hwy::TargetName(HWY_TARGET);
}

}  // namespace attnlab::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attnlab {

HWY_EXPORT(multiply_adds);
HWY_EXPORT(read_streams);
HWY_EXPORT(target_name);

ProbeWork probe_multiply_adds(std::int64_t rounds) {
  // s = s / 2 + 1 stays near 2 for ever: neither subnormal nor infinite, which would be slower or faster.
  std::array<float, 16> start;
  for (int i = 0; i < 16; ++i) start[i] = 1.0f + static_cast<float>(i) / 16.0f;
  return HWY_DYNAMIC_DISPATCH(multiply_adds)(rounds, start.data(), 0.5f, 1.0f);
}

ProbeWork probe_read(std::span<const std::byte> bytes, int streams) {
  ATTNLAB_CHECK(streams == 1 || streams == 2 || streams == 4, "streams is 1, 2 or 4");
  ATTNLAB_CHECK(
      reinterpret_cast<std::uintptr_t>(bytes.data()) % kProbeGranule == 0 && bytes.size() % kProbeGranule == 0,
      "the probe's memory is whole granules");
  const std::size_t words = bytes.size() / sizeof(std::uint64_t);
  return HWY_DYNAMIC_DISPATCH(read_streams)(reinterpret_cast<const std::uint64_t*>(bytes.data()),
                                            words / static_cast<std::size_t>(streams), streams);
}

std::string simd_target() {
  return HWY_DYNAMIC_DISPATCH(target_name)();
}

std::string simd_library_version() {
  return std::to_string(HWY_MAJOR) + "." + std::to_string(HWY_MINOR) + "." + std::to_string(HWY_PATCH);
}

}  // namespace attnlab
#endif  // HWY_ONCE
