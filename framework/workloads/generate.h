// The workload `generate`: a continuation of a prompt.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <attnlab/api.h>

#include "model/tokenizers/tokenizer.h"
#include "workloads/workload.h"

namespace attnlab::experiment {

class ATTNLAB_API GenerateWorkload final : public Workload {
 public:
  std::string prompt;
  int tokens = 0;
  double temperature = 0;            // 0: greedy
  int top_k = 0;                     // 0: all
  double top_p = 1;                  // 1: all
  std::optional<std::int64_t> seed;  // absent: the experiment's

  [[nodiscard]] CaseSize size(std::size_t index, ModelTexts& model) const override;
  [[nodiscard]] std::vector<CaseFeeding> feedings(std::size_t index, const CaseSize& size) const override;
  [[nodiscard]] double seconds(std::size_t index, const CaseSize& size, const ForwardTime& time) const override;
  [[nodiscard]] Measured measure(std::size_t index, const TrialContext& trial) const override;
  [[nodiscard]] std::map<std::string, double> numbers(std::size_t index) const override;
  [[nodiscard]] std::map<std::string, std::string> data(FileHashes& files,
                                                        const std::vector<std::int64_t>& seeds) const override;
  void identify(nlohmann::ordered_json& identity, FileHashes& files) const override;
  [[nodiscard]] std::optional<std::int64_t> own_seed() const override { return seed; }
};

[[nodiscard]] ATTNLAB_API Measured measure_generate(model::Decoder& decoder, const model::Tokenizer& tokenizer,
                                                    const GenerateWorkload& workload, std::uint64_t seed,
                                                    const std::optional<Compression>& compression = {});

}  // namespace attnlab::experiment
