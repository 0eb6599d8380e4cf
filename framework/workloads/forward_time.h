// How long a forward pass takes on a machine that is known by its roof: operations and bytes are counted from the
// shapes of weights and caches. What the workloads estimate their trials with.
#pragma once

#include <algorithm>
#include <cmath>

#include "assembly/arm_cost.h"
#include "machine/roof.h"

namespace attnlab::experiment {

inline constexpr double kShareOfPeak = 0.6;       // of the FMA peak, in a prefill
inline constexpr double kShareOfBandwidth = 0.7;  // of the read bandwidth, in a decode step

class ForwardTime {
 public:
  /// Cost and roof must outlive this.
  ForwardTime(const ArmCost& cost, int layers, const RoofProbe& roof) : cost_(cost), layers_(layers), roof_(roof) {}

  /// Seconds for new tokens of a sequence after `before` others, in chunks, `heads` of them with logits.
  [[nodiscard]] double prefill(double tokens, double before, double heads) const {
    const double pairs = tokens * before + tokens * (tokens + 1) / 2;
    const double operations =
        2 * (cost_.layer_weights * tokens + cost_.head_weights * heads + cost_.pair_width * pairs);
    const double chunks = std::ceil(tokens / kChunk);
    const double read = chunks * cost_.weight_bytes_read / (kShareOfBandwidth * roof_.read_bytes_per_second);
    return std::max(operations / (kShareOfPeak * roof_.fma_flops_per_second), read) + chunks * layers_ * kLayerSeconds;
  }
  /// One token for each of the sequences, which then have `rows` rows together.
  [[nodiscard]] double step(double rows, double sequences = 1) const {
    const double bytes = cost_.weight_bytes_read + cost_.row_bytes * rows + cost_.state_bytes * sequences;
    const double operations = 2 * ((cost_.layer_weights + cost_.head_weights) * sequences + cost_.pair_width * rows);
    return std::max(bytes / (kShareOfBandwidth * roof_.read_bytes_per_second),
                    operations / (kShareOfPeak * roof_.fma_flops_per_second)) +
           layers_ * kLayerSeconds;
  }
  /// Steps of one sequence from `first` rows to `last`.
  [[nodiscard]] double steps(double first, double last) const { return (last - first) * step((first + last) / 2); }

 private:
  static constexpr double kLayerSeconds = 20e-6;  // a layer costs at least so much, however small it is
  static constexpr int kChunk = 512;              // tokens of a prompt that are fed at once

  const ArmCost& cost_;
  int layers_;
  const RoofProbe& roof_;
};

}  // namespace attnlab::experiment
