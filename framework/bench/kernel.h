// One benchmark that can be repeated: a state that is reset to its start, a step that is timed, and the least
// operations and bytes of a step.
#pragma once

#include <memory>

#include "bench/suite.h"

namespace attnlab::bench {

/// Of one step; 0 where it does not follow from shapes.
struct Work {
  double operations = 0;  // multiply-adds counted as two, of products, scores and values that are seen
  double bytes = 0;       // of weights, cached rows and states: each once
};

class Kernel {
 public:
  virtual ~Kernel() = default;
  /// To the start; not timed.
  virtual void reset() = 0;
  /// What is timed.
  virtual void step() = 0;
  /// The next step needs a reset.
  [[nodiscard]] virtual bool is_worn() const noexcept = 0;
  /// Of the steps since the last reset, on average.
  [[nodiscard]] virtual Work work() const = 0;
  /// Bytes that a step goes over: what has to be larger than the processor's caches for memory to matter.
  [[nodiscard]] virtual double footprint() const = 0;
  /// New tokens of a step.
  [[nodiscard]] virtual int tokens() const noexcept = 0;
  /// Really allocated for the layer's cache; 0 where it has no part in this.
  [[nodiscard]] virtual double kv_bytes() const = 0;
  /// Rows of a kv head that live in the layer's cache, on average over the heads and over the steps between two resets;
  /// 0 where it has no part in this.
  [[nodiscard]] virtual double kept_rows() const = 0;
  /// Bytes of one token, in a full tile; 0 likewise.
  [[nodiscard]] virtual double kv_bytes_per_token() const = 0;
};

/// Error where a part cannot be made. The registry must outlive the kernel.
[[nodiscard]] std::unique_ptr<Kernel> make_kernel(const Registry& registry, const Entry& entry);

}  // namespace attnlab::bench
