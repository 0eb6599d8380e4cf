// The workload `perplexity`: the loss of a text through the arm's own cache.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include <attnlab/api.h>

#include "model/tokenizers/tokenizer.h"
#include "workloads/workload.h"

namespace attnlab::experiment {

class ATTNLAB_API PerplexityWorkload final : public Workload {
 public:
  std::filesystem::path text;
  int context = 0;  // tokens of a window, BOS included
  int prefill = 0;  // of these, the prompt; only what follows it is scored. `context`: the whole window is, but for BOS
  bool says_prefill = false;  // it was written; where a cache may drop or round rows it has to be
  int stride = 0;             // from one window to the next, of which the last so many tokens are scored; 0: context
  int max_windows = 0;        // 0: all of the text
  std::string where;          // file:line:column, for what only the arms can tell

  [[nodiscard]] bool is_whole() const noexcept { return prefill >= context; }

  [[nodiscard]] CaseSize size(std::size_t index, ModelTexts& model) const override;
  [[nodiscard]] std::vector<CaseFeeding> feedings(std::size_t index, const CaseSize& size) const override;
  [[nodiscard]] double seconds(std::size_t index, const CaseSize& size, const ForwardTime& time) const override;
  [[nodiscard]] Measured measure(std::size_t index, const TrialContext& trial) const override;
  [[nodiscard]] std::map<std::string, double> numbers(std::size_t index) const override;
  [[nodiscard]] std::map<std::string, std::string> data(FileHashes& files,
                                                        const std::vector<std::int64_t>& seeds) const override;
  void identify(nlohmann::ordered_json& identity, FileHashes& files) const override;
  void describe(nlohmann::ordered_json& planned, std::int64_t seed) const override;
  [[nodiscard]] std::optional<Problem> problem_with(const std::string& arm,
                                                    const Compression& compression) const override;
};

/// Loss of a text through the arm's own cache, and how far the predictions are from the baseline's. Error where the
/// text cannot be used. `compression`: what the arm's caches do to rows; where no scored token has read them then, the
/// details say `no_verdict`.
[[nodiscard]] ATTNLAB_API Measured measure_perplexity(model::Decoder& decoder, const model::Tokenizer& tokenizer,
                                                      const PerplexityWorkload& workload,
                                                      const BaselineFile& baseline = {},
                                                      const std::optional<Compression>& compression = {});

}  // namespace attnlab::experiment
