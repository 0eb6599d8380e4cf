// The workload `speed`: batches that are prefilled or decoded, or prompts that are answered token by token.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include <attnlab/api.h>

#include "workloads/batch.h"
#include "workloads/turns.h"
#include "workloads/workload.h"

namespace attnlab::experiment {

/// Sequences of equal length: a prompt, then tokens one at a time.
struct PromptShape {
  int prompt = 1;
  int generate = 1;
  int sequences = 1;

  bool operator==(const PromptShape&) const = default;
};

/// A batch as it is written, or a prompt with what is generated after it.
using SpeedCase = std::variant<Batch, PromptShape>;

class ATTNLAB_API SpeedWorkload final : public Workload {
 public:
  std::vector<SpeedCase> cases;

  [[nodiscard]] CaseSize size(std::size_t index, ModelTexts& model) const override;
  [[nodiscard]] std::vector<CaseFeeding> feedings(std::size_t index, const CaseSize& size) const override;
  [[nodiscard]] double seconds(std::size_t index, const CaseSize& size, const ForwardTime& time) const override;
  [[nodiscard]] CaseRows most_rows(std::size_t index, const CaseSize& size) const override;
  [[nodiscard]] Measured measure(std::size_t index, const TrialContext& trial) const override;
  [[nodiscard]] std::map<std::string, double> numbers(std::size_t index) const override;
};

/// Speed of one case, which runs once unmeasured before it, counting operations and bytes as they are executed.
/// `turns`: with whom its timed work takes turns; null: with nobody.
[[nodiscard]] ATTNLAB_API Measured measure_speed(model::Decoder& decoder, const SpeedCase& speed_case,
                                                 std::uint64_t seed, Turns* turns = nullptr);

}  // namespace attnlab::experiment
