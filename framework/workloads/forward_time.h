// How long a forward pass takes on a machine that is known by its roof: operations and bytes as they were counted in
// small passes (ArmCost), for the rows that a query of the case sees. What the workloads estimate their trials with.
#pragma once

#include <span>
#include <vector>

#include <attnlab/api.h>

#include "assembly/arm_cost.h"
#include "machine/roof.h"

namespace attnlab::experiment {

inline constexpr double kShareOfPeak = 0.6;       // of the FMA peak, in a prefill
inline constexpr double kShareOfBandwidth = 0.7;  // of the read bandwidth, in a decode step

/// Of one pass or several.
struct ForwardWork {
  double multiply_adds = 0;
  double bytes = 0;  // read
};

/// Sequences of a decode step that are alike: tokens of each, its new one included, of which `prompt` were the prompt.
struct DecodedSequences {
  double count = 1;
  double length = 1;
  double prompt = 1;
};

class ATTNLAB_API ForwardTime {
 public:
  /// kept [layers]. Cost and roof must outlive this.
  ForwardTime(const ArmCost& cost, std::vector<KeptRows> kept, const RoofProbe& roof);

  /// New tokens of a sequence after a prompt of `before` others, in chunks, `heads` of them with logits.
  [[nodiscard]] ForwardWork prefill_work(double tokens, double before, double heads) const;
  /// One token for each of the sequences.
  [[nodiscard]] ForwardWork step_work(std::span<const DecodedSequences> sequences) const;

  /// Seconds of the same.
  [[nodiscard]] double prefill(double tokens, double before, double heads) const;
  [[nodiscard]] double step(std::span<const DecodedSequences> sequences) const;
  /// Steps of `count` sequences at once, from a prompt of `first` tokens each to `last`.
  [[nodiscard]] double steps(double first, double last, double count = 1) const;

 private:
  [[nodiscard]] double seconds(const ForwardWork& work, double passes) const;

  const ArmCost& cost_;
  std::vector<KeptRows> kept_;
  const RoofProbe& roof_;
};

}  // namespace attnlab::experiment
