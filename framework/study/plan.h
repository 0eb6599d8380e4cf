// The plan: every arm resolved and checked, every trial known, before anything runs. Mistakes in the input are found
// here, before the first trial.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include <attnlab/api.h>

#include "assembly/arm_cost.h"
#include "assembly/arm_model.h"
#include "assembly/compression.h"
#include "assembly/model_source.h"
#include "base/file_hashes.h"
#include "registry/registry.h"
#include "study/spec.h"
#include "study/trainings.h"

namespace attnlab::experiment {

struct PlanOptions {
  std::vector<std::string> overrides;          // --set
  std::string only;                            // --only; empty: all arms
  int threads = 0;                             // --threads; 0: as the experiment says
  std::vector<std::filesystem::path> plugins;  // --plugin
  Launcher launcher = Launcher::as_written;    // --launcher
  config::FileTexts* texts = nullptr;          // of the experiment and what it includes, see config/include.h
  std::vector<std::string> arms;               // a part of a planned study: these and the baseline; empty: all
};

/// One arm in one case, where there is something to say of it alone.
struct ArmCase {
  std::string refused;             // why this case is not run; empty: it is
  bool is_absent = false;          // refused, and no row says so: a training of an arm that has none
  std::vector<std::string> notes;  // a length beyond the trained one
  std::vector<KeptRows> kept;      // [layers] what the caches of its sessions keep at most
  double state_bytes = 0;          // of one sequence's states and summaries
};

struct PlannedArm {
  Arm arm;
  std::shared_ptr<const ModelSource> source;  // the study's, with what the arm has otherwise
  ResolvedArm resolved;
  std::shared_ptr<const TrainedAs> trained;  // null pointer: it is measured as it is
  std::string refused;                       // why it does not run; empty: it runs
  std::string failed;                        // why its model cannot be made; empty: it can
  std::vector<std::string> notes;            // what the report has to say of all its cases: converted heads
  std::vector<ArmCase> cases;                // as many as the plan has
  std::optional<Compression> compression;    // what its caches do to rows; none: every row stays as it is and is read
  std::size_t weight_bytes = 0;
  std::vector<model::HeldWeight> held_weights;  // that are among them, if nothing is trained
  int threads = 1;
  int kv_heads = 0;  // as the model has them in the end; 0: none, or not the same in every layer
  ArmCost cost;
  std::string training_key;            // equal in arms that share one; empty: it is not trained
  std::optional<TrainingTrial> tried;  // of its training, where it has one
  std::string identity;                // a hash of the arm with all its options, and of its plugins' files

  [[nodiscard]] bool runs(std::size_t planned_case) const {
    return refused.empty() && cases[planned_case].refused.empty();
  }
};

/// One measurement of every round (or of the first only, where it is deterministic).
struct PlannedCase {
  std::size_t workload;  // index into spec.workloads
  std::size_t index;     // of the case within the workload
  std::string workload_name;
  std::string label;
  bool deterministic;
  bool is_timed;         // as its workload says of itself
  std::string identity;  // a hash of what is measured: the text, the prompt, the baseline that it is compared with
  CaseSize size;
  double limit_seconds = 0;  // a trial that takes longer is stopped; see default_limit_seconds in estimate.h
};

struct Plan {
  ExperimentSpec spec;
  int threads = 1;
  bool allow_nonfinite = false;
  std::shared_ptr<Registry> registry;
  std::shared_ptr<ModelSource> source;
  std::vector<PlannedArm> arms;
  std::vector<PlannedCase> cases;
  std::vector<TrainingGroup> groups;
  std::vector<PlannedTraining> trainings;  // in the order in which they run
  std::vector<std::string> warnings;
  std::string identity;               // a hash of what all trials share: weights, threads, this build
  std::shared_ptr<FileHashes> files;  // of all that the plan looked at

  [[nodiscard]] const Workload& workload_of(const PlannedCase& planned) const {
    return *spec.workloads[planned.workload].workload;
  }
  /// The case that trainings are the rows of; none where nothing is trained.
  [[nodiscard]] std::optional<std::size_t> train_case() const;
  [[nodiscard]] const WorkloadKind& kind_of(const PlannedCase& planned) const {
    return *spec.workloads[planned.workload].kind;
  }
};

/// Error with every problem that was found.
[[nodiscard]] ATTNLAB_API Plan make_plan(const std::filesystem::path& file, const PlanOptions& options);

/// For people: arms with their verdicts, workloads, number of trials. What validate and --dry-run print.
[[nodiscard]] ATTNLAB_API std::string describe_plan(const Plan& plan);

/// plan.yaml: everything resolved, defaults included.
[[nodiscard]] ATTNLAB_API nlohmann::ordered_json plan_json(const Plan& plan);

/// Fills in the identities of plan, arms, cases and trainings; make_plan has done it.
ATTNLAB_API void identify(Plan& plan);

/// What identifies a trial: a hash of all that its outcome may depend on.
[[nodiscard]] ATTNLAB_API std::string trial_id(const Plan& plan, const PlannedArm& arm, const PlannedCase& planned,
                                               std::int64_t seed, int round);

}  // namespace attnlab::experiment
