// The workload `continuation`: which of several continuations of a text a model finds likeliest, read through the arm's
// own cache. So a cache is judged by questions that a model answers by choosing, where it would not say the answer by
// itself. Not here: the file of questions (choice_questions), and the scores (measure_continuation).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include <attnlab/api.h>

#include "workloads/answers.h"
#include "workloads/choice_questions.h"
#include "workloads/workload.h"

namespace attnlab::experiment {

class ATTNLAB_API ContinuationWorkload final : public Workload {
 public:
  std::filesystem::path file;
  int examples = 0;  // texts of the file, from the first on; 0: all
  Query query = Query::after;
  std::string where;  // file:line:column of the workload

  [[nodiscard]] CaseSize size(std::size_t index, ModelTexts& model) const override;
  [[nodiscard]] std::vector<CaseFeeding> feedings(std::size_t index, const CaseSize& size) const override;
  [[nodiscard]] CaseRows most_rows(std::size_t index, const CaseSize& size) const override;
  [[nodiscard]] double seconds(std::size_t index, const CaseSize& size, const ForwardTime& time) const override;
  [[nodiscard]] Measured measure(std::size_t index, const TrialContext& trial) const override;
  [[nodiscard]] std::map<std::string, double> numbers(std::size_t index) const override;
  [[nodiscard]] std::map<std::string, std::string> data(FileHashes& files,
                                                        const std::vector<std::int64_t>& seeds) const override;
  void identify(nlohmann::ordered_json& identity, FileHashes& files) const override;
  void describe(nlohmann::ordered_json& planned, std::int64_t seed) const override;
};

/// The share of questions whose right choice has the highest log-probability a byte of its text, and the share in which
/// it has the highest of all its tokens together. `compression`: what the arm's caches do to rows.
[[nodiscard]] ATTNLAB_API Measured measure_continuation(model::Decoder& decoder, const std::vector<TokenText>& texts,
                                                        Query query,
                                                        const std::optional<Compression>& compression = {});

}  // namespace attnlab::experiment
