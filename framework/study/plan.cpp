#include "study/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include <attnlab/error.h>

#include "assembly/constructed_conflict.h"
#include "base/plugin_call.h"
#include "machine/memory.h"
#include "model/constructed_recall.h"
#include "parallel/parallel.h"
#include "report/read/format.h"
#include "study/cost_apart.h"
#include "study/estimate.h"
#include "study/train_workload.h"

namespace attnlab::experiment {
namespace {

// Error where the model cannot take a case, whatever the arm.
void size_cases(Plan& plan) {
  ModelTexts model(*plan.source);
  for (std::size_t workload = 0; workload < plan.spec.workloads.size(); ++workload) {
    const ChosenWorkload& chosen = plan.spec.workloads[workload];
    for (std::size_t index = 0; index < chosen.labels.size(); ++index)
      plan.cases.push_back({.workload = workload,
                            .index = index,
                            .workload_name = std::string(chosen.kind->name),
                            .label = chosen.labels[index],
                            .deterministic = chosen.kind->is_deterministic,
                            .is_timed = chosen.kind->is_timed,
                            .size = chosen.workload->size(index, model)});
  }
}

std::string joined(const std::vector<std::string>& sentences) {
  std::string text;
  for (const std::string& sentence : sentences) text += (text.empty() ? "" : "; ") + sentence;
  return text;
}

// Rows that are never dropped need their memory whatever happens. Of a policy that evicts it is not known beforehand.
bool keeps_all_rows(const PlannedArm& arm, const Registry& registry) {
  return std::ranges::none_of(arm.resolved.layers, [&](const ResolvedLayer& layer) {
    return registry.traits(*layer.cache.descriptor, layer.cache.options).provides.has(Feature::token_eviction);
  });
}

// Why a cache of the arm cannot be made for a case: a share of its context may be fewer rows than the policy needs.
// Where it can, `kept` receives what the caches keep.
std::string context_conflict(const ResolvedArm& arm, const model::Decoder& decoder, const Plan& plan,
                             const PlannedCase& planned, std::vector<KeptRows>& kept) {
  for (const CaseFeeding& feeding : plan.workload_of(planned).feedings(planned.index, planned.size)) try {
      model::Session session = decoder.make_session(feeding.capacities);
      if (session.sequences() > 0) kept = kept_rows(arm, *plan.registry, session);
    } catch (const PluginRefusal& error) {
      return fmt::format("in a context of {} ({}): {}", std::ranges::min(feeding.capacities),
                         planned.workload_name + " " + planned.label, error.problems().front().text());
    }
  return {};
}

// The arm, where none of its cases can run.
void refuse_if_none_is_left(PlannedArm& arm) {
  if (std::ranges::any_of(arm.cases, [](const ArmCase& one) { return one.refused.empty(); })) return;
  std::vector<std::string> reasons;
  for (const ArmCase& one : arm.cases)
    if (std::ranges::find(reasons, one.refused) == reasons.end()) reasons.push_back(one.refused);
  arm.refused = joined(reasons);
}

// Each case by itself: one that is impossible for the arm is refused, and the others run.
void check_cases(PlannedArm& arm, const Plan& plan, const model::Decoder& decoder) {
  ModelTexts own_model(*arm.source);
  for (const PlannedCase& planned : plan.cases) {
    ArmCase& one = arm.cases.emplace_back();
    if (is_train(plan.kind_of(planned)) && arm.trained == nullptr) {
      one.refused = "the arm is not trained";
      one.is_absent = true;
      continue;
    }
    try {
      if (!arm.arm.model.is_null()) (void)plan.workload_of(planned).size(planned.index, own_model);
      if (const auto warning = decoder.check_length(planned.size.longest)) one.notes.push_back(*warning);
    } catch (const Error& error) {
      one.refused = error.problems().front().text();
      continue;
    }
    one.refused = context_conflict(arm.resolved, decoder, plan, planned, one.kept);
    one.state_bytes = state_bytes(decoder, planned.size.longest);
  }
  refuse_if_none_is_left(arm);
}

// That a trial may take. Of a cluster's nodes only what is asked for is known.
std::uint64_t memory_of(const Plan& plan) {
  auto memory = static_cast<std::uint64_t>(memory_limit_bytes());
  if (plan.spec.slurm)
    memory = plan.spec.slurm->memory > 0 ? plan.spec.slurm->memory : std::numeric_limits<std::uint64_t>::max();
  return plan.spec.limits.memory > 0 ? std::min(memory, plan.spec.limits.memory) : memory;
}

// Rows that need more memory than a trial may take; of the cases that could run otherwise.
void check_memory(PlannedArm& arm, const Plan& plan) {
  if (!keeps_all_rows(arm, *plan.registry)) return;
  const std::uint64_t memory = memory_of(plan);
  for (std::size_t index = 0; index < plan.cases.size(); ++index) {
    ArmCase& one = arm.cases[index];
    if (!one.refused.empty()) continue;
    const std::size_t rows = kv_bytes(plan, arm, index);
    if (rows > 0 && arm.weight_bytes + rows > memory)
      one.refused = fmt::format("its weights ({}) and rows ({}) need more memory than the {} that a trial may take",
                                report::format_bytes(static_cast<double>(arm.weight_bytes)),
                                report::format_bytes(static_cast<double>(rows)),
                                report::format_bytes(static_cast<double>(memory)));
  }
  refuse_if_none_is_left(arm);
}

// Makes the arm's model without reading weights, and notes what it says about itself.
void check_model(PlannedArm& arm, const Plan& plan) {
  model::Decoder decoder = build_decoder(arm.resolved, *arm.source, *plan.registry,
                                         {.seed = static_cast<std::uint64_t>(plan.spec.seed),
                                          .allow_nonfinite = plan.allow_nonfinite,
                                          .check_only = true,
                                          .widen = arm.trained != nullptr});
  arm.weight_bytes = decoder.weight_bytes();
  if (arm.trained == nullptr) arm.held_weights = decoder.held_weights();
  check_cases(arm, plan, decoder);
  if (!arm.refused.empty()) return;
  int length = 0;  // of the longest case that runs
  for (std::size_t index = 0; index < plan.cases.size(); ++index)
    if (arm.cases[index].refused.empty()) length = std::max(length, plan.cases[index].size.longest);
  model::Session session = decoder.make_session(1, length);
  arm.compression = compression_of(arm.resolved, *plan.registry, session);
  arm.kv_heads = session.shape(0).kv_heads;
  for (int layer = 1; layer < session.layers(); ++layer)
    if (session.shape(layer).kv_heads != arm.kv_heads) arm.kv_heads = 0;
  arm.cost = cost_apart(decoder, length);
  const std::vector<std::string>& of_weights = decoder.notes();
  arm.notes = arm.resolved.notes;
  if (!plan.spec.train.is_null() && arm.trained == nullptr && arm.source->is_random())
    arm.notes.emplace_back("it is not trained: its weights are random");
  const std::vector<std::string> idle = idle_notes(arm.resolved, decoder, session);
  arm.notes.insert(arm.notes.end(), idle.begin(), idle.end());
  arm.notes.insert(arm.notes.end(), of_weights.begin(), of_weights.end());
  const std::vector<std::string> of_caches = cache_notes(arm.resolved, *plan.registry, arm.compression.has_value());
  arm.notes.insert(arm.notes.end(), of_caches.begin(), of_caches.end());
  check_memory(arm, plan);
}

// Arms that differ in their caches only are tried once.
void try_its_training(PlannedArm& arm, const Plan& plan) {
  arm.training_key = training_key(arm);
  const auto like = std::ranges::find_if(
      plan.arms, [&](const PlannedArm& other) { return other.tried && other.training_key == arm.training_key; });
  arm.tried = like == plan.arms.end() ? try_training(plan, arm) : like->tried;
  arm.failed = arm.tried->failed;
  for (const Problem& problem : arm.tried->refused)
    arm.refused += (arm.refused.empty() ? "" : "; ") + Problem{"", problem.what, problem.remedy}.text();
  const auto memory = static_cast<double>(memory_of(plan));
  if (arm.refused.empty() && arm.tried->bytes > memory)
    arm.refused = fmt::format(
        "its training needs about {}, more than the {} that a trial may take; a smaller model or "
        "shorter sequences need less",
        report::format_bytes(arm.tried->bytes), report::format_bytes(memory));
}

void plan_arms(Plan& plan, const std::vector<std::shared_ptr<const TrainedAs>>& trained) {
  std::vector<Problem> problems;
  std::vector<Error> model_errors;
  std::size_t running = 0;
  for (const Arm& arm : plan.spec.arms) {
    PlannedArm planned{.arm = arm};
    planned.threads = arm.threads > 0 ? arm.threads : plan.threads;
    planned.source = arm.model.is_null()
                         ? plan.source
                         : std::make_shared<ModelSource>(plan.source->with_keys(model_entries(arm.model)));
    planned.trained = trained[static_cast<std::size_t>(&arm - plan.spec.arms.data())];
    planned.resolved = resolve_arm(arm, planned.source->config(), *plan.registry);
    if (plan.source->constructed() == model::kConstructedRecall && planned.resolved.conflicts.empty())
      if (std::string conflict = recall_conflict(planned.resolved, plan.source->config()); !conflict.empty())
        planned.resolved.conflicts.push_back(std::move(conflict));
    planned.refused = joined(planned.resolved.conflicts);
    if (planned.refused.empty()) {
      try {
        check_model(planned, plan);
        if (planned.refused.empty() && planned.trained != nullptr) try_its_training(planned, plan);
        if (planned.tried && !planned.tried->refused.empty() && !arm.from_grid) {
          problems.insert(problems.end(), planned.tried->refused.begin(), planned.tried->refused.end());
          continue;
        }
      } catch (const OptionError& error) {
        planned.refused = error.problems().front().text();
        if (!arm.from_grid) {
          problems.push_back(error.problems().front());
          continue;
        }
      } catch (const Error& error) {
        planned.failed = error.problems().front().text();
        model_errors.push_back(error);
      }
    }
    if (!planned.refused.empty() && !arm.from_grid)
      problems.push_back({arm.where.text(), fmt::format("arm \"{}\": {}", arm.name, planned.refused), ""});
    if (planned.refused.empty()) ++running;
    planned.cases.resize(plan.cases.size());  // of an arm that was refused before its cases were looked at
    plan.arms.push_back(std::move(planned));
  }
  if (!problems.empty()) throw Error(std::move(problems));
  if (running == 0) {
    for (const PlannedArm& arm : plan.arms)
      problems.push_back(
          {arm.arm.where.text(), fmt::format("arm \"{}\" is refused: {}", arm.arm.name, arm.refused), ""});
    problems.push_back({plan.spec.file.string(), "no arm is left", "at least one arm must be sound"});
    throw Error(std::move(problems));
  }
  // What is wrong with every arm is wrong with the model, not with an arm.
  if (model_errors.size() == running) throw model_errors.front();
}

// What a workload needs to be told where some arm's caches drop or round rows.
void check_compression(const Plan& plan) {
  const auto arm = std::ranges::find_if(
      plan.arms, [](const PlannedArm& one) { return one.refused.empty() && one.compression.has_value(); });
  if (arm == plan.arms.end()) return;
  std::vector<Problem> problems;
  for (const ChosenWorkload& one : plan.spec.workloads)
    if (auto problem = one.workload->problem_with(arm->arm.name, *arm->compression))
      problems.push_back(*std::move(problem));
  if (!problems.empty()) throw Error(std::move(problems));
}

void check_weights(const Plan& plan) {
  if (!plan.source->constructed().empty() || plan.source->is_random() || plan.allow_nonfinite) return;
  const model::Checkpoint checkpoint = plan.source->checkpoint();
  for (const std::string& name : checkpoint.names()) {
    const model::StoredTensor tensor = *checkpoint.find(name);
    model::check_weight_dtype(tensor);
    model::check_finite(tensor);
    tensor.release();
  }
}

// The rows of trainings come first, and texts are cut as those that the model is trained on.
void add_train_case(Plan& plan, const std::vector<std::shared_ptr<const TrainedAs>>& trained) {
  const auto first = std::ranges::find_if(trained, [](const auto& one) { return one != nullptr; });
  if (first == trained.end()) return;
  std::vector<ChosenWorkload>& workloads = plan.spec.workloads;
  workloads.insert(workloads.begin(), train_workload(*first));
  if (const std::filesystem::path& tokenizer = (*first)->facts.tokenizer; !tokenizer.empty())
    plan.source = std::make_shared<ModelSource>(plan.source->with_tokenizer(tokenizer));
}

int default_threads(const ExperimentSpec& spec) {
  if (!spec.slurm) return available_processors();
  if (spec.slurm->cpus > 0) return spec.slurm->cpus;
  throw Error(
      spec.file.string(),
      "the number of threads is not said, and the processors of this machine are not those of a cluster's nodes",
      "write launcher: {slurm: {cpus: 8}}, or threads: 8");
}

// Jobs get as many processors as the arm with the most threads needs.
void fit_cpus(Plan& plan) {
  int most = plan.threads;
  for (const Arm& arm : plan.spec.arms) most = std::max(most, arm.threads);
  int& cpus = plan.spec.slurm->cpus;
  if (cpus > 0 && cpus < most)
    throw Error(plan.spec.file.string(), fmt::format("{} threads on the {} processors of a job", most, cpus),
                "raise cpus of launcher: {slurm: ...}, or take fewer threads");
  if (cpus == 0) cpus = most;
}

ArmDefaults defaults_of(const std::shared_ptr<const ModelSource>& source) {
  ArmDefaults defaults = arm_defaults(source->config());
  defaults.changed_attention = [source](const config::Node& model) {
    return arm_defaults(source->with_keys(model_entries(model)).config()).attention;
  };
  return defaults;
}

}  // namespace

std::optional<std::size_t> Plan::train_case() const {
  const auto found =
      std::ranges::find_if(cases, [&](const PlannedCase& planned) { return is_train(kind_of(planned)); });
  return found == cases.end() ? std::nullopt : std::optional(static_cast<std::size_t>(found - cases.begin()));
}

Plan make_plan(const std::filesystem::path& file, const PlanOptions& options) {
  SpecDocument document = open_spec(file, options.overrides, options.texts);
  Plan plan;
  plan.warnings = document.warnings;
  std::vector<std::filesystem::path> plugins = document.plugin_paths();
  plugins.insert(plugins.end(), options.plugins.begin(), options.plugins.end());
  plan.registry = std::make_shared<Registry>(Registry::standard(plugins));
  ArmDefaults defaults;
  if (!document.model.path.empty() || !document.constructed.empty()) {
    try {
      plan.source =
          std::make_shared<ModelSource>(document.constructed.empty() ? ModelSource::open(document.model.path)
                                                                     : ModelSource::from_code(document.constructed));
      defaults = defaults_of(plan.source);
    } catch (const Error& error) {
      document.problems.add(document.model.where, error);
    }
  }
  plan.spec = read_spec(document, lookup_in(*plan.registry), defaults);
  if (!options.only.empty())
    if (std::string told = plan.spec.keep_only(options.only); !told.empty()) plan.warnings.push_back(std::move(told));
  if (!options.arms.empty()) plan.spec.keep_named(options.arms);
  if (options.launcher == Launcher::local) plan.spec.slurm.reset();
  if (options.launcher == Launcher::slurm && !plan.spec.slurm) plan.spec.slurm.emplace();
  plan.allow_nonfinite = plan.spec.allow_nonfinite;
  plan.threads = options.threads > 0     ? options.threads
                 : plan.spec.threads > 0 ? plan.spec.threads
                                         : default_threads(plan.spec);
  if (plan.spec.slurm) fit_cpus(plan);
  const std::vector<std::shared_ptr<const TrainedAs>> trained = read_trainings(plan);
  add_train_case(plan, trained);
  size_cases(plan);
  plan_arms(plan, trained);
  check_compression(plan);
  for (std::size_t index = 0; index < plan.cases.size(); ++index)
    plan.cases[index].limit_seconds =
        plan.spec.limits.seconds > 0 ? plan.spec.limits.seconds : default_limit_seconds(plan, index);
  if (const PlannedArm& baseline = plan.arms[plan.spec.baseline]; !baseline.refused.empty())
    plan.warnings.push_back(
        fmt::format("the baseline {} is refused, so nothing is compared with it", baseline.arm.name));
  if (options.arms.empty()) check_weights(plan);  // of a part: when the whole was planned
  plan_trainings(plan);
  identify(plan);
  int most = 0;
  for (const PlannedArm& arm : plan.arms) most = std::max(most, arm.threads);
  if (!plan.spec.slurm && most > available_processors())
    plan.warnings.push_back(
        fmt::format("{} threads on {} processors: speeds say nothing", most, available_processors()));
  return plan;
}

}  // namespace attnlab::experiment
