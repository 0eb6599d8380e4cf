#include <attnlab/codes.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/convert.h"

#define HWY_DISABLED_TARGETS HWY_AVX3_DL  // nothing here gains from it, and every target costs build time
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "rows/code_kernels.cpp"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace attnlab::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <class Body>
HWY_INLINE void in_vectors(int count, const Body& body) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int>(hn::Lanes(d));
  int i = 0;
  for (; i + lanes <= count; i += lanes) body(d, i);
  const hn::CappedTag<float, 1> one;
  for (; i < count; ++i) body(one, i);
}

// Integers of one byte as floats.
template <class D, class Byte>
HWY_INLINE hn::Vec<D> load_codes(D d, const Byte* codes) {
  const hn::Rebind<std::int32_t, D> wide;
  return hn::ConvertTo(d, hn::PromoteTo(wide, hn::LoadU(hn::Rebind<Byte, D>(), codes)));
}

template <class D, class Byte>
HWY_INLINE void store_codes(D, hn::Vec<D> numbers, Byte* codes) {
  const hn::Rebind<Byte, D> narrow;
  hn::StoreU(hn::DemoteTo(narrow, hn::NearestInt(numbers)), narrow, codes);
}

float symmetric_scale_target(const float* from, int count) {
  float largest = 0;
  float odd = 0;  // NaN once anything was not finite
  in_vectors(count, [&](auto d, int i) {
    const auto x = hn::LoadU(d, from + i);
    largest = std::max(largest, hn::GetLane(hn::MaxOfLanes(d, hn::Abs(x))));
    odd += hn::GetLane(hn::SumOfLanes(d, hn::Sub(x, x)));
  });
  return largest / 127.0F + odd;
}

void symmetric_codes_target(const float* from, int count, float scale, std::int8_t* codes) {
  if (!(scale > 0)) {
    std::fill_n(codes, count, std::int8_t{0});
    return;
  }
  in_vectors(count, [&](auto d, int i) {
    const auto scaled = hn::Div(hn::LoadU(d, from + i), hn::Set(d, scale));
    store_codes(d, hn::Clamp(scaled, hn::Set(d, -127.0F), hn::Set(d, 127.0F)), codes + i);
  });
}

AffineRange affine_range_target(const float* from, int count, int levels) {
  float lowest = std::numeric_limits<float>::infinity();
  float highest = -std::numeric_limits<float>::infinity();
  float odd = 0;
  in_vectors(count, [&](auto d, int i) {
    const auto x = hn::LoadU(d, from + i);
    lowest = std::min(lowest, hn::GetLane(hn::MinOfLanes(d, x)));
    highest = std::max(highest, hn::GetLane(hn::MaxOfLanes(d, x)));
    odd += hn::GetLane(hn::SumOfLanes(d, hn::Sub(x, x)));
  });
  return {(highest - lowest) / static_cast<float>(levels) + odd, lowest};
}

void affine_codes_target(const float* from, int count, AffineRange range, int levels, std::uint8_t* codes) {
  if (!(range.scale > 0)) {
    std::fill_n(codes, count, std::uint8_t{0});
    return;
  }
  in_vectors(count, [&](auto d, int i) {
    const auto above = hn::Sub(hn::LoadU(d, from + i), hn::Set(d, range.minimum));
    const auto scaled = hn::Div(above, hn::Set(d, range.scale));
    store_codes(d, hn::Clamp(scaled, hn::Zero(d), hn::Set(d, static_cast<float>(levels))), codes + i);
  });
}

void expand_bf16_target(const std::uint16_t* from, const LineBlock& block) {
  for (int line = 0; line < block.lines; ++line) {
    const std::uint16_t* of_line = from + line * block.from_stride;
    float* to = block.to + line * block.to_stride;
    in_vectors(block.count, [&](auto d, int i) {
      const hn::Rebind<std::uint32_t, decltype(d)> wide;
      const hn::Rebind<std::uint16_t, decltype(d)> narrow;
      const auto bits = hn::ShiftLeft<16>(hn::PromoteTo(wide, hn::LoadU(narrow, of_line + i)));
      hn::StoreU(hn::BitCast(d, bits), d, to + i);
    });
  }
}

void scale_columns_target(const std::int8_t* codes, const float* scales, const LineBlock& block) {
  for (int line = 0; line < block.lines; ++line) {
    const std::int8_t* of_line = codes + line * block.from_stride;
    float* to = block.to + line * block.to_stride;
    in_vectors(block.count, [&](auto d, int i) {
      hn::StoreU(hn::Mul(load_codes(d, of_line + i), hn::LoadU(d, scales + i)), d, to + i);
    });
  }
}

void scale_lines_target(const std::int8_t* codes, const float* scales, const LineBlock& block) {
  for (int line = 0; line < block.lines; ++line) {
    const std::int8_t* of_line = codes + line * block.from_stride;
    float* to = block.to + line * block.to_stride;
    in_vectors(block.count, [&](auto d, int i) {
      hn::StoreU(hn::Mul(load_codes(d, of_line + i), hn::Set(d, scales[line])), d, to + i);
    });
  }
}

void affine_columns_target(const std::uint8_t* codes, const AffineParameters& parameters, const LineBlock& block) {
  for (int first = 0; first < block.lines; first += parameters.group) {
    const std::int64_t group = first / parameters.group;
    const float* scales = parameters.scales + group * parameters.stride;
    const float* minima = parameters.minima + group * parameters.stride;
    const int end = std::min(first + parameters.group, block.lines);
    for (int line = first; line < end; line += 2) {
      const std::uint8_t* of_pair = codes + line / 2 * block.from_stride;
      float* even = block.to + line * block.to_stride;
      // The last component may have no partner: then the other half writes it first, and is overwritten.
      float* odd = line + 1 < end ? even + block.to_stride : even;
      in_vectors(block.count, [&](auto d, int i) {
        const hn::Rebind<std::int32_t, decltype(d)> wide;
        const auto both = hn::PromoteTo(wide, hn::LoadU(hn::Rebind<std::uint8_t, decltype(d)>(), of_pair + i));
        const auto scale = hn::LoadU(d, scales + i);
        const auto minimum = hn::LoadU(d, minima + i);
        const auto high = hn::ConvertTo(d, hn::ShiftRight<4>(both));
        const auto low = hn::ConvertTo(d, hn::And(both, hn::Set(wide, 15)));
        hn::StoreU(hn::Add(hn::Mul(high, scale), minimum), d, odd + i);
        hn::StoreU(hn::Add(hn::Mul(low, scale), minimum), d, even + i);
      });
    }
  }
}

constexpr int kUnpacked = 32;  // codes that are spread into bytes at once
using Bytes = hn::FixedTag<std::uint8_t, 16>;
using ByteVec = hn::Vec<Bytes>;

// Eight codes of three bits in three bytes.
HWY_INLINE void unpack_threes(const std::uint8_t* packed, std::int64_t available, std::uint8_t* to) {
  std::uint8_t whole[kUnpacked * 3 / 8] = {};
  std::memcpy(whole, packed, static_cast<std::size_t>(std::min<std::int64_t>(available, sizeof whole)));
  for (int eight = 0; eight < kUnpacked / 8; ++eight) {
    const std::uint8_t* from = whole + 3 * eight;
    const unsigned bits = from[0] | unsigned{from[1]} << 8 | unsigned{from[2]} << 16;
    for (int i = 0; i < 8; ++i) to[8 * eight + i] = static_cast<std::uint8_t>(bits >> (3 * i) & 7U);
  }
}

// `Count` bytes (8 or 16), of which the last may not be there.
template <int Count>
HWY_INLINE ByteVec load_bytes(const std::uint8_t* from, std::int64_t available) {
  const Bytes d;
  if (available < Count) {
    HWY_ALIGN std::uint8_t whole[16] = {};
    std::memcpy(whole, from, static_cast<std::size_t>(available));
    return hn::Load(d, whole);
  }
  if constexpr (Count == 16)
    return hn::LoadU(d, from);
  else
    return hn::ZeroExtendVector(d, hn::LoadU(hn::Half<Bytes>(), from));
}

template <int Bits>
HWY_INLINE void unpack(const std::uint8_t* packed, std::int64_t available, std::uint8_t* to) {
  if constexpr (Bits == 3) return unpack_threes(packed, available, to);
  const Bytes d;
  constexpr int bytes = kUnpacked * Bits / 8;
  ByteVec low = load_bytes<bytes>(packed, available);
  ByteVec high = hn::ShiftRight<4>(low);
  low = hn::And(low, hn::Set(d, 15));
  if constexpr (Bits == 2) {  // half as many bytes, of which each half is split once more
    const ByteVec halves = hn::InterleaveLower(d, low, high);
    high = hn::ShiftRight<2>(halves);
    low = hn::And(halves, hn::Set(d, 3));
  }
  hn::Store(hn::InterleaveLower(d, low, high), d, to);
  hn::Store(hn::InterleaveUpper(d, low, high), d, to + 16);
}

HWY_INLINE void affine_span(const std::uint8_t* codes, int count, float scale, float minimum, float* to) {
  in_vectors(count, [&](auto d, int i) {
    const auto scaled = hn::Mul(load_codes(d, codes + i), hn::Set(d, scale));
    hn::StoreU(hn::Add(scaled, hn::Set(d, minimum)), d, to + i);
  });
}

template <int Bits>
HWY_INLINE void affine_line(const std::uint8_t* codes, std::int64_t line_bytes, int first, int end, int first_group,
                            const float* scales, const float* minima, const AffineParameters& parameters, float* to) {
  HWY_ALIGN std::uint8_t unpacked[kUnpacked];
  int group_end = (first_group + 1) * parameters.group;
  for (int chunk = first / kUnpacked * kUnpacked; chunk < end; chunk += kUnpacked) {
    const std::int64_t offset = chunk * Bits / 8;
    unpack<Bits>(codes + offset, line_bytes - offset, unpacked);
    const int chunk_end = std::min(end, chunk + kUnpacked);
    for (int begin = std::max(first, chunk); begin < chunk_end;) {
      const int stop = std::min(chunk_end, group_end);
      if (stop - begin == kUnpacked)  // known when it is compiled: no loop
        affine_span(unpacked, kUnpacked, *scales, *minima, to);
      else
        affine_span(unpacked + (begin - chunk), stop - begin, *scales, *minima, to);
      to += stop - begin;
      begin = stop;
      if (begin < group_end) continue;
      group_end += parameters.group;
      scales += parameters.stride;
      minima += parameters.stride;
    }
  }
}

template <int Bits>
HWY_INLINE void affine_line_block(const std::uint8_t* codes, int first, const AffineParameters& parameters,
                                  const LineBlock& block) {
  const int first_group = first / parameters.group;
  const float* scales = parameters.scales + first_group * parameters.stride;
  const float* minima = parameters.minima + first_group * parameters.stride;
  for (int line = 0; line < block.lines; ++line)
    affine_line<Bits>(codes + line * block.from_stride, block.from_stride, first, first + block.count, first_group,
                      scales + line, minima + line, parameters, block.to + line * block.to_stride);
}

void affine_lines_target(const std::uint8_t* codes, int bits, int first, const AffineParameters& parameters,
                         const LineBlock& block) {
  if (bits == 4)
    affine_line_block<4>(codes, first, parameters, block);
  else if (bits == 3)
    affine_line_block<3>(codes, first, parameters, block);
  else
    affine_line_block<2>(codes, first, parameters, block);
}

}  // namespace attnlab::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attnlab {
HWY_EXPORT(symmetric_scale_target);
HWY_EXPORT(symmetric_codes_target);
HWY_EXPORT(affine_range_target);
HWY_EXPORT(affine_codes_target);
HWY_EXPORT(expand_bf16_target);
HWY_EXPORT(scale_columns_target);
HWY_EXPORT(scale_lines_target);
HWY_EXPORT(affine_columns_target);
HWY_EXPORT(affine_lines_target);

float symmetric_scale(const float* from, int count) {
  return HWY_DYNAMIC_DISPATCH(symmetric_scale_target)(from, count);
}
void symmetric_codes(const float* from, int count, float scale, std::int8_t* codes) {
  HWY_DYNAMIC_DISPATCH(symmetric_codes_target)(from, count, scale, codes);
}
AffineRange affine_range(const float* from, int count, int levels) {
  return HWY_DYNAMIC_DISPATCH(affine_range_target)(from, count, levels);
}
void affine_codes(const float* from, int count, AffineRange range, int levels, std::uint8_t* codes) {
  HWY_DYNAMIC_DISPATCH(affine_codes_target)(from, count, range, levels, codes);
}
void pack_codes(std::uint8_t* codes, int count, int bits) {
  if (bits == 4) {  // by far the most frequent
    for (int i = 0; i + 1 < count; i += 2) codes[i / 2] = static_cast<std::uint8_t>(codes[i] | codes[i + 1] << 4);
    if (count % 2 != 0) codes[count / 2] = codes[count - 1];
    return;
  }
  unsigned waiting = 0;  // bits that are no whole byte yet
  int held = 0;
  std::uint8_t* to = codes;
  for (int i = 0; i < count; ++i) {
    waiting |= unsigned{codes[i]} << held;
    for (held += bits; held >= 8; held -= 8, waiting >>= 8) *to++ = static_cast<std::uint8_t>(waiting);
  }
  if (held > 0) *to = static_cast<std::uint8_t>(waiting);
}
void round_to_bf16(const float* from, int count, std::uint16_t* to) {
  std::transform(from, from + count, to, to_bf16);
}
void expand_bf16(const std::uint16_t* from, const LineBlock& block) {
  HWY_DYNAMIC_DISPATCH(expand_bf16_target)(from, block);
}
void scale_columns(const std::int8_t* codes, const float* scales, const LineBlock& block) {
  HWY_DYNAMIC_DISPATCH(scale_columns_target)(codes, scales, block);
}
void scale_lines(const std::int8_t* codes, const float* scales, const LineBlock& block) {
  HWY_DYNAMIC_DISPATCH(scale_lines_target)(codes, scales, block);
}
void affine_columns(const std::uint8_t* codes, const AffineParameters& parameters, const LineBlock& block) {
  HWY_DYNAMIC_DISPATCH(affine_columns_target)(codes, parameters, block);
}
void affine_lines(const std::uint8_t* codes, int bits, int first, const AffineParameters& parameters,
                  const LineBlock& block) {
  HWY_DYNAMIC_DISPATCH(affine_lines_target)(codes, bits, first, parameters, block);
}

}  // namespace attnlab
#endif
