// The numbers of one step compared with those of its slow form.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

#include <attnlab/api.h>

namespace attnlab {

/// Where a step and its slow form were furthest apart.
struct StepDeviation {
  double deviation = 0;   // relative to the largest number of the slow form (at least 1e-3); infinite for a NaN
  std::string step = {};  // empty: nothing was compared
  int layer = 0;
  std::int64_t token = -1;  // of the chunk; -1: of none
  std::int64_t head = -1;   // -1: of a step that knows none
  std::string what = {};    // more than a number that is off

  /// "attend of layer 1, token 3, head 0: ..."
  [[nodiscard]] ATTNLAB_API std::string text() const;
};

class CallComparison {
 public:
  void compare(double found, double right, std::int64_t token, std::int64_t head) {
    const double off = std::abs(found - right);
    // A softmax over infinite scores is NaN in both forms; infinities of the same sign are equal.
    const bool is_same = found == right || (std::isnan(found) && std::isnan(right));
    if (!is_same && !(off <= off_)) {
      off_ = std::isfinite(off) ? off : std::numeric_limits<double>::infinity();
      token_ = token;
      head_ = head;
    }
    if (std::isfinite(right)) largest_ = std::max(largest_, std::abs(right));
    ++count_;
  }
  [[nodiscard]] double deviation() const noexcept { return off_ / largest_; }
  [[nodiscard]] std::int64_t token() const noexcept { return token_; }
  [[nodiscard]] std::int64_t head() const noexcept { return head_; }
  [[nodiscard]] std::int64_t count() const noexcept { return count_; }

 private:
  double off_ = 0;
  double largest_ = 1e-3;
  std::int64_t token_ = -1;
  std::int64_t head_ = -1;
  std::int64_t count_ = 0;
};

}  // namespace attnlab
