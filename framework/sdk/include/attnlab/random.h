// The generator of all random numbers in AttnLab: weights, data, tokens, evictions, orders of trials, resampling.
// SplitMix64 (Steele, Lea and Flood 2014, constants of Stafford's Mix13): the same on every machine and with every
// compiler, which the distributions and the shuffle of <random> are not. Not for secrets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

namespace attnlab {

class SplitMix64 {
 public:
  constexpr explicit SplitMix64(std::uint64_t seed) noexcept : state_(seed) {}
  /// An independent sequence for each number, from the same seed.
  constexpr SplitMix64(std::uint64_t seed, std::uint64_t number) noexcept : state_(mixed(seed) ^ mixed(~number)) {}

  /// 64 uniform bits.
  constexpr std::uint64_t next() noexcept { return mixed(state_ += kStep); }
  /// Continues as after `count` calls of next().
  constexpr void skip(std::uint64_t count) noexcept { state_ += count * kStep; }

  /// 0 <= x < 1, of 53 bits.
  constexpr double uniform() noexcept { return static_cast<double>(next() >> 11) * 0x1p-53; }
  /// Uniform below `count`, which must be above 0; numbers of the last, incomplete round are drawn again.
  constexpr std::uint64_t below(std::uint64_t count) noexcept {
    const std::uint64_t rounds = ~std::uint64_t{0} / count;
    std::uint64_t bits = next();
    while (bits / count >= rounds) bits = next();
    return bits % count;
  }
  /// Shuffles the items; every order is equally likely.
  template <class Items>
  constexpr void shuffle(Items& items) noexcept {
    for (std::size_t left = items.size(); left > 1; --left) {
      using std::swap;
      swap(items[left - 1], items[below(left)]);
    }
  }

  /// The finaliser: a one-to-one map of 64 bits in which every bit of the result depends on every bit given.
  static constexpr std::uint64_t mixed(std::uint64_t bits) noexcept {
    bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9;
    bits = (bits ^ (bits >> 27)) * 0x94d049bb133111eb;
    return bits ^ (bits >> 31);
  }

 private:
  static constexpr std::uint64_t kStep = 0x9e3779b97f4a7c15;  // 2^64 / phi

  std::uint64_t state_;
};

}  // namespace attnlab
