// A hash table of indices into a vector that the caller owns: one allocation, no node for every entry, so that 150,000
// tokens are put in and found in a few milliseconds. Its size is given once; nothing is taken out.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace attnlab::model {

class FlatIndex {
 public:
  static constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

  /// For at most `entries`.
  explicit FlatIndex(std::size_t entries = 0) : slots_(std::bit_ceil(2 * entries + 2)) {}

  /// The number of the entry with this hash for which is_it(number) holds. If it is kNone there is none, and the number
  /// of a new entry with this hash is to be written there.
  template <class IsIt>
  [[nodiscard]] std::uint32_t& number(std::size_t hash, const IsIt& is_it) {
    Slot& slot = slots_[place_of(hash, is_it)];
    slot.mark = mark_of(hash);
    return slot.number;
  }
  template <class IsIt>
  [[nodiscard]] std::uint32_t find(std::size_t hash, const IsIt& is_it) const {
    return slots_[place_of(hash, is_it)].number;
  }

 private:
  struct Slot {
    std::uint32_t number = kNone;
    std::uint32_t mark = 0;  // of the hash: an entry whose mark is another's need not be looked at
  };

  // Multiplied by 2^64 / golden ratio, since hashes of integers are the integers; the upper bits are the best ones.
  [[nodiscard]] static std::uint64_t spread(std::size_t hash) { return hash * 0x9E3779B97F4A7C15U; }
  [[nodiscard]] static std::uint32_t mark_of(std::size_t hash) {
    return static_cast<std::uint32_t>(spread(hash) >> 16);
  }

  template <class IsIt>
  [[nodiscard]] std::size_t place_of(std::size_t hash, const IsIt& is_it) const {
    const std::size_t last = slots_.size() - 1;
    const std::uint32_t mark = mark_of(hash);
    std::size_t at = static_cast<std::size_t>(spread(hash) >> (64 - std::bit_width(last)));
    while (slots_[at].number != kNone && !(slots_[at].mark == mark && is_it(slots_[at].number))) at = (at + 1) & last;
    return at;
  }

  std::vector<Slot> slots_;  // a power of two, at most half of them taken
};

}  // namespace attnlab::model
