// The tokens that are fed to the model at once: a ragged batch without padding, with phases given by the caller.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>

namespace attnlab {

/// Index of a token in its sequence, from 0. Stays the token's own after evictions.
using Position = std::int32_t;

/// `prefill`: a piece of the prompt that is not its end. `last_prefill`: the piece that ends the prompt, after which
/// most policies evict. `decode`: tokens after the prompt, one at a time.
enum class Phase : std::uint8_t { prefill, last_prefill, decode };

struct PositionRange {
  Position first = std::numeric_limits<Position>::max();    // smallest
  Position last = std::numeric_limits<Position>::lowest();  // largest, itself included

  void include(Position position) noexcept {
    first = std::min(first, position);
    last = std::max(last, position);
  }
  /// Of positions in any order; several are compared at once.
  [[nodiscard]] static PositionRange of(std::span<const Position> positions) noexcept {
    Position first = std::numeric_limits<Position>::max(), last = std::numeric_limits<Position>::lowest();
    for (const Position position : positions) {
      first = std::min(first, position);
      last = std::max(last, position);
    }
    return {first, last};
  }
};

struct ChunkView {
  std::span<const std::int32_t> offsets;  // [sequences + 1]; sequence s owns tokens offsets[s] .. offsets[s + 1]
  std::span<const Position> positions;    // [tokens], absolute, ascending by one within a sequence
  std::span<const Phase> phases;          // [sequences]
  std::span<const Position> lengths;      // [sequences]: tokens of the sequence when this call, or the prompt that
                                          // it is a piece of, has ended; length-dependent scalings go by it

  [[nodiscard]] int sequences() const noexcept { return static_cast<int>(phases.size()); }
  [[nodiscard]] int tokens() const noexcept { return static_cast<int>(positions.size()); }
  [[nodiscard]] int first(int sequence) const noexcept { return offsets[sequence]; }
  [[nodiscard]] int tokens_of(int sequence) const noexcept { return offsets[sequence + 1] - offsets[sequence]; }
  /// Whether evictions that act after the prompt and after each step act at the end of this chunk.
  [[nodiscard]] bool ends_prompt_or_step(int sequence) const noexcept {
    return tokens_of(sequence) > 0 && phases[sequence] != Phase::prefill;
  }
  [[nodiscard]] std::span<const Position> positions_of(int sequence) const noexcept {
    return positions.subspan(first(sequence), tokens_of(sequence));
  }
};

}  // namespace attnlab
