// The sum of uniforms is taken in integers and becomes a float at the very end. A polynomial of the inverse normal
// would be closer in the tails, but its last bit depends on whether the compiler fuses a product and a sum.
#include "model/random_weights.h"

#include <cmath>

#include <attnlab/random.h>

#include "base/fnv1a.h"

namespace attnlab::model {
namespace {

// The four 16-bit fields of a word, added in pairs: two sums of 17 bits in the halves of the result.
constexpr std::uint64_t paired_fields(std::uint64_t bits) {
  constexpr std::uint64_t kEven = 0x0000ffff0000ffff;
  return (bits & kEven) + ((bits >> 16) & kEven);
}

// The sum of eight 16-bit uniforms minus its mean: in [-262140, 262140], exact as a float.
constexpr std::int32_t centred_sum(std::uint64_t bits) {
  const std::uint64_t more = (bits ^ (bits >> 32)) * 0xd6e8feb86659fd93;  // four more fields from the same word
  const std::uint64_t fields = paired_fields(bits) + paired_fields(more ^ (more >> 32));
  return static_cast<std::int32_t>((fields & 0xffffffff) + (fields >> 32)) - 8 * 65535 / 2;
}

}  // namespace

void random_values(std::uint64_t seed, std::string_view tensor_name, std::int64_t first_element, std::span<float> out,
                   float standard_deviation) {
  const double sum_deviation = std::sqrt(8.0 * (65536.0 * 65536.0 - 1.0) / 12.0);  // eight times the variance of one
  const auto scale = static_cast<float>(standard_deviation / sum_deviation);
  // The name says where in the sequence of the seed a tensor begins.
  SplitMix64 random(SplitMix64::mixed(SplitMix64::mixed(seed) ^ fnv1a(tensor_name)));
  random.skip(static_cast<std::uint64_t>(first_element));
  for (float& value : out) value = static_cast<float>(centred_sum(random.next())) * scale;
}

}  // namespace attnlab::model
