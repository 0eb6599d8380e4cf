// Cosines and sines of pairs of channels that turn with the position, where no table has them: angles that depend on
// the length of a sequence, and positions behind the end of a table. Rows of a cache that are rotated when they are
// read need them anew in every step.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <span>

#include <attnlab/chunk.h>

namespace attnlab {

/// Lives on the stack of one call, and takes nothing from the heap. Positions that follow each other are turned on from
/// the one before, in double precision; every 64th is computed by itself, so that errors stay far below those of f32.
class PairAngles {
 public:
  static constexpr int kMostPairs = 64;

  /// Pair j turns by `frequencies[j]` from a position to the next, and its length is multiplied by exp(`growth[j]`);
  /// without growth it stays as it is. At most kMostPairs, which outlive this.
  PairAngles(std::span<const double> frequencies, double magnitude, std::span<const double> growth = {}) noexcept
      : frequencies_(frequencies), growth_(growth), magnitude_(magnitude) {}

  /// magnitude x length x cosine and sine of every pair at the position.
  void at(Position position, float* cosine, float* sine) noexcept {
    if (has_last_ && position == last_ + 1 && turned_ < kMostTurned)
      turn();
    else
      begin(position);
    last_ = position;
    has_last_ = true;
    for (std::size_t j = 0; j < frequencies_.size(); ++j) {
      cosine[j] = static_cast<float>(magnitude_ * cosine_[j]);
      sine[j] = static_cast<float>(magnitude_ * sine_[j]);
    }
  }

 private:
  static constexpr int kMostTurned = 63;
  using Numbers = std::array<double, kMostPairs>;

  void compute(double positions, Numbers& cosine, Numbers& sine) const noexcept {
    for (std::size_t j = 0; j < frequencies_.size(); ++j) {
      const double angle = positions * frequencies_[j];
      const double length = growth_.empty() ? 1 : std::exp(positions * growth_[j]);
      cosine[j] = length * std::cos(angle);
      sine[j] = length * std::sin(angle);
    }
  }
  void begin(Position position) noexcept {
    compute(position, cosine_, sine_);
    turned_ = 0;
  }
  void turn() noexcept {
    if (!has_step_) compute(1, step_cosine_, step_sine_);
    has_step_ = true;
    ++turned_;
    for (std::size_t j = 0; j < frequencies_.size(); ++j) {
      const double cosine = cosine_[j] * step_cosine_[j] - sine_[j] * step_sine_[j];
      sine_[j] = sine_[j] * step_cosine_[j] + cosine_[j] * step_sine_[j];
      cosine_[j] = cosine;
    }
  }

  std::span<const double> frequencies_, growth_;
  double magnitude_;
  Position last_ = 0;
  int turned_ = 0;
  bool has_last_ = false, has_step_ = false;
  Numbers cosine_, sine_, step_cosine_, step_sine_;
};

}  // namespace attnlab
