// The probes of a run: the first before anything is timed, further ones while it goes on.
#pragma once

#include <chrono>

#include "machine/roof.h"
#include "study/plan.h"

namespace attnlab::experiment {

class RoofProbes {
 public:
  /// The plan must outlive this.
  explicit RoofProbes(const Plan& plan) : plan_(plan) {}

  /// Of an earlier run of the same study.
  void take(Roof roof) { roof_ = std::move(roof); }
  [[nodiscard]] const Roof& roof() const noexcept { return roof_; }

  /// Where nothing was probed yet, for longer.
  void probe_first();
  /// Other users of the machine can only lower a probe, so there are several; only where speed is measured, and not
  /// within a minute of the last one.
  void probe();
  /// Where the last one is ten minutes old.
  void probe_if_old();

 private:
  void measure(double seconds);

  const Plan& plan_;
  Roof roof_;
  std::chrono::steady_clock::time_point probed_ = std::chrono::steady_clock::now();
};

}  // namespace attnlab::experiment
