// The workload `answers`: what a model answers in examples of a task whose answers follow from the input. So a cache
// is judged by what it lost, in any task that models are trained on: needles, recall, copies.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include <attnlab/api.h>

#include "config/node.h"
#include "tasks/task.h"
#include "workloads/workload.h"

namespace attnlab::experiment {

/// When a question is read: after the prompt, and so after what the cache does at the end of a prompt; or as the end
/// of the prompt, so that a policy chooses its rows with the question in sight (and the first token of the answer is
/// predicted by the prompt itself).
enum class Query : std::uint8_t { after, before };

class ATTNLAB_API AnswersWorkload final : public Workload {
 public:
  config::Node task;             // as it was written
  std::filesystem::path folder;  // what its paths are relative to
  std::string where;             // file:line:column of the workload
  int examples = 0;
  Query query = Query::after;
  std::optional<std::int64_t> seed;  // absent: the experiment's

  /// The task, whose text is cut as the model's where the task does not say how. Error where it does not fit the model.
  [[nodiscard]] std::unique_ptr<tasks::Task> task_for(const ModelSource& model) const;
  /// Held out of trainings.
  [[nodiscard]] tasks::Example example(const tasks::Task& of, std::uint64_t seed_of_study, int number) const;
  /// Tokens of an example that are the prompt, at least 1.
  [[nodiscard]] std::int64_t prompt(const tasks::Example& example) const;

  [[nodiscard]] CaseSize size(std::size_t index, ModelTexts& model) const override;
  [[nodiscard]] std::vector<CaseFeeding> feedings(std::size_t index, const CaseSize& size) const override;
  [[nodiscard]] double seconds(std::size_t index, const CaseSize& size, const ForwardTime& time) const override;
  [[nodiscard]] Measured measure(std::size_t index, const TrialContext& trial) const override;
  [[nodiscard]] std::map<std::string, double> numbers(std::size_t index) const override;
  [[nodiscard]] std::map<std::string, std::string> data(FileHashes& files,
                                                        const std::vector<std::int64_t>& seeds) const override;
  void identify(nlohmann::ordered_json& identity, FileHashes& files) const override;
  [[nodiscard]] std::optional<std::int64_t> own_seed() const override { return seed; }
  void describe(nlohmann::ordered_json& planned, std::int64_t seed_of_study) const override;
};

/// Share of the answers that are right in all their tokens, and share of the tokens. An answer is a run of tokens that
/// are asked for one after the other, each after the right ones before it: it is right in all exactly if greedy
/// decoding gives it. `compression`: what the arm's caches do to rows.
[[nodiscard]] ATTNLAB_API Measured measure_answers(model::Decoder& decoder, const AnswersWorkload& workload,
                                                   const tasks::Task& task, std::uint64_t seed,
                                                   const std::optional<Compression>& compression = {});

}  // namespace attnlab::experiment
