// The workload `recall`: multi-query associative recall, which shows what a policy has dropped.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <attnlab/api.h>

#include "tasks/recall_data.h"
#include "workloads/recall_prediction.h"
#include "workloads/workload.h"

namespace attnlab::experiment {

class ATTNLAB_API RecallWorkload final : public Workload {
 public:
  tasks::RecallShape shape;
  int prefill = 0;  // tokens of the prompt, 0: the pairs; only queries after it are scored. `length`: all are
  int examples = 0;
  std::optional<std::int64_t> seed;  // absent: the experiment's
  std::string where;                 // file:line:column, for what only the model can tell

  [[nodiscard]] int prompt() const noexcept { return prefill > 0 ? prefill : shape.prompt(); }
  [[nodiscard]] bool is_whole() const noexcept { return prefill >= shape.length; }
  [[nodiscard]] std::uint64_t seed_or(std::uint64_t otherwise) const noexcept {
    return seed ? static_cast<std::uint64_t>(*seed) : otherwise;
  }

  [[nodiscard]] CaseSize size(std::size_t index, ModelTexts& model) const override;
  [[nodiscard]] std::vector<CaseFeeding> feedings(std::size_t index, const CaseSize& size) const override;
  [[nodiscard]] double seconds(std::size_t index, const CaseSize& size, const ForwardTime& time) const override;
  [[nodiscard]] Measured measure(std::size_t index, const TrialContext& trial) const override;
  [[nodiscard]] std::map<std::string, double> numbers(std::size_t index) const override;
  [[nodiscard]] std::map<std::string, std::string> data(FileHashes& files,
                                                        const std::vector<std::int64_t>& seeds) const override;
  [[nodiscard]] std::optional<std::int64_t> own_seed() const override { return seed; }
  void describe(nlohmann::ordered_json& planned, std::int64_t seed_of_study) const override;
};

/// Share of the queries whose value the model predicts, and the share that `prediction` says. Error where no query
/// comes after the prompt. `compression`: what
/// the arm's caches do to rows.
[[nodiscard]] ATTNLAB_API Measured measure_recall(model::Decoder& decoder, const RecallWorkload& workload,
                                                  std::uint64_t seed, const std::optional<RecallPrediction>& prediction,
                                                  const std::optional<Compression>& compression = {});

}  // namespace attnlab::experiment
