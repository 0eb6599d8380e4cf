// What is measured of every arm. A workload is one file of this folder: it declares its keys, reads them, names its
// cases, says how a case feeds its sequences and what that costs, measures it, and completes its part of the JSON
// Schema. It registers itself; no code outside its file refers to it.
// Not here: which arms there are, how often a case runs, and what becomes of the samples (study, runner, report).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include <attnlab/api.h>
#include <attnlab/error.h>

#include "assembly/arm_model.h"
#include "assembly/case_feeding.h"
#include "assembly/compression.h"
#include "assembly/model_source.h"
#include "base/file_hashes.h"
#include "config/keys.h"
#include "config/map_reader.h"
#include "model/decoder.h"
#include "workloads/forward_time.h"
#include "workloads/measured.h"
#include "workloads/quality_baseline.h"
#include "workloads/turns.h"

namespace attnlab::experiment {

/// The model of a study and its tokenizer, which is loaded when it is first asked for.
class ATTNLAB_API ModelTexts {
 public:
  /// The source must outlive this.
  explicit ModelTexts(const ModelSource& source) : source_(source) {}

  [[nodiscard]] const ModelSource& source() const noexcept { return source_; }
  [[nodiscard]] const model::ModelConfig& config() const noexcept { return source_.config(); }
  [[nodiscard]] const model::Tokenizer& tokenizer();

 private:
  const ModelSource& source_;
  std::unique_ptr<model::Tokenizer> tokenizer_;
};

/// How large a case is with the study's model, in any of its arms.
struct CaseSize {
  int longest = 0;           // tokens of the longest sequence
  std::int64_t tokens = 0;   // of a prompt that is written as text
  std::int64_t windows = 0;  // of a text that is read; choices that are scored
  std::int64_t prompts = 0;  // that are fed before them
};

/// Rows and sequences that are in the caches at once.
struct CaseRows {
  double rows = 0;
  double sequences = 1;
};

/// What a case is measured with, in a trial's process.
struct TrialContext {
  model::Decoder& decoder;
  ModelTexts& model;
  std::uint64_t seed = 1;
  const std::optional<Compression>& compression;  // what the arm's caches do to rows
  Turns* turns = nullptr;                         // of arms that are measured together; null: it is measured alone
  BaselineFile baseline;  // where the baseline's predictions are or go; of workloads that are compared with them
};

/// One entry of `workloads:`. `index` is that of a case, in the order of its labels.
class ATTNLAB_API Workload {
 public:
  virtual ~Workload();

  /// Error where the model cannot take the case, whatever the arm.
  [[nodiscard]] virtual CaseSize size(std::size_t index, ModelTexts& model) const = 0;
  /// The sessions of a case in the order in which it runs them; none without sequences.
  [[nodiscard]] virtual std::vector<CaseFeeding> feedings(std::size_t index, const CaseSize& size) const = 0;
  /// Of one trial in a process that is there already.
  [[nodiscard]] virtual double seconds(std::size_t index, const CaseSize& size, const ForwardTime& time) const = 0;
  /// The default: one sequence at a time, the longest.
  [[nodiscard]] virtual CaseRows most_rows(std::size_t index, const CaseSize& size) const;

  [[nodiscard]] virtual Measured measure(std::size_t index, const TrialContext& trial) const = 0;

  /// What a chart can put on an axis: "context", "prefill".
  [[nodiscard]] virtual std::map<std::string, double> numbers(std::size_t index) const = 0;
  /// What is measured and its names do not tell, for readers of the results: CaseLayout::data. `seeds`: the study's.
  [[nodiscard]] virtual std::map<std::string, std::string> data(FileHashes& files,
                                                                const std::vector<std::int64_t>& seeds) const;
  /// Appends to `identity`, a list, what the outcome of a case depends on beside its name and label.
  virtual void identify(nlohmann::ordered_json& identity, FileHashes& files) const;
  /// A seed of its own; none: the study's.
  [[nodiscard]] virtual std::optional<std::int64_t> own_seed() const;
  /// Adds to the case's map in plan.yaml. `seed`: the study's.
  virtual void describe(nlohmann::ordered_json& planned, std::int64_t seed) const;
  /// What is missing where an arm's caches drop or round rows; none: nothing.
  [[nodiscard]] virtual std::optional<Problem> problem_with(const std::string& arm,
                                                            const Compression& compression) const;
};

/// What the reader of a workload is given, beside its own keys.
struct WorkloadReading {
  const config::Node& options;
  const config::Mark& where;
  const std::filesystem::path& folder;  // paths are relative to it
  config::ProblemList& problems;
};

/// An entry as it was read: its cases by label, at least one unless a problem was added.
struct ReadWorkload {
  std::vector<std::string> labels;
  std::unique_ptr<const Workload> workload;
};

/// Everything about a workload that is known without an entry of it.
struct WorkloadKind {
  std::string_view name;  // as YAML and the `workload` column have it
  std::string_view doc;
  int place = 0;  // in lists of all workloads, ascending
  config::KeyTable keys;
  /// No repetition changes what it finds, so it is measured in the first round only.
  bool is_deterministic = false;
  /// It measures throughputs: rounds of warm-up and the repetition of disturbed rounds are about it.
  bool is_timed = false;
  /// The metric that a comparison with the baseline arm's predictions, token by token, gives; empty: there is none.
  std::string_view against_baseline = {};
  /// Its labels are as they were written, so two that are alike are a mistake; else they are numbered.
  bool has_written_labels = false;
  /// A range among its keys is a list that it reads; else every value of the range makes a workload.
  bool reads_ranges = false;
  ReadWorkload (*read)(config::MapReader& reader, const WorkloadReading& reading) = nullptr;
  /// Completes the schema of its map; null pointer: the keys say everything.
  void (*complete_schema)(nlohmann::ordered_json& schema) = nullptr;
  /// Adds the definitions that the forms of its keys name; null pointer: none.
  void (*define_forms)(nlohmann::ordered_json& definitions) = nullptr;
};

/// By place.
[[nodiscard]] ATTNLAB_API std::vector<const WorkloadKind*> workload_kinds();

/// Makes a workload known while it lives. A constant of the workload's file.
class ATTNLAB_API RegisteredWorkload {
 public:
  explicit RegisteredWorkload(WorkloadKind kind);
  ~RegisteredWorkload();
  RegisteredWorkload(const RegisteredWorkload&) = delete;
  RegisteredWorkload& operator=(const RegisteredWorkload&) = delete;

 private:
  WorkloadKind kind_;
};

/// One entry of `workloads:`, with its kind.
struct ChosenWorkload {
  const WorkloadKind* kind = nullptr;
  std::vector<std::string> labels;  // the `case` column; unique among the entries of a kind
  std::shared_ptr<const Workload> workload;
};

/// `node` is the list; `folder` is what paths are relative to.
[[nodiscard]] ATTNLAB_API std::vector<ChosenWorkload> read_workloads(const config::Node& node,
                                                                     const std::filesystem::path& folder,
                                                                     config::ProblemList& problems);

}  // namespace attnlab::experiment
