#include "experiment/plan.h"

#include <fmt/format.h>

#include <algorithm>

#include <attnlab/error.h>

#include "experiment/estimate.h"
#include "experiment/prompt.h"
#include "experiment/recall_prediction.h"
#include "experiment/text_windows.h"
#include "parallel/parallel.h"

namespace attnlab::experiment {
namespace {

template <class... Functions>
struct Overloaded : Functions... {
  using Functions::operator()...;
};
template <class... Functions>
Overloaded(Functions...) -> Overloaded<Functions...>;

// The longest sequence that a workload makes.
int longest(const Workload& workload, const ModelSource& source) {
  return std::visit(
      Overloaded{[](const SpeedWorkload& speed) {
                   int length = 0;
                   for (const SpeedCase& one : speed.cases) {
                     if (const auto* batch = std::get_if<Batch>(&one.shape)) {
                       for (const BatchPart& part : *batch) length = std::max(length, part.total);
                     } else {
                       const auto& shape = std::get<PromptShape>(one.shape);
                       length = std::max(length, shape.prompt + shape.generate);
                     }
                   }
                   return length;
                 },
                 [&](const PerplexityWorkload& perplexity) {
                   (void)read_text_windows(perplexity.text, *source.tokenizer(), source.config().vocab_size,
                                           perplexity.context, perplexity.max_windows);
                   return perplexity.context;
                 },
                 [&](const GenerateWorkload& generate) {
                   const auto tokens = encode_prompt(*source.tokenizer(), generate.prompt);
                   check_prompt(tokens, source.config().vocab_size, "generate: prompt");
                   return static_cast<int>(tokens.size()) + generate.tokens;
                 },
                 [&](const RecallWorkload& recall) {
                   const int vocab = source.config().vocab_size;
                   if (recall.shape.vocab > vocab)
                     throw Error(recall.where,
                                 fmt::format("recall: a vocab of {} is more than the {} tokens of the model",
                                             recall.shape.vocab, vocab),
                                 fmt::format("give vocab: {}", vocab));
                   return recall.shape.length;
                 }},
      workload);
}

bool is_deterministic(const Workload& workload) {
  return std::holds_alternative<PerplexityWorkload>(workload) || std::holds_alternative<RecallWorkload>(workload);
}

std::string joined(const std::vector<std::string>& sentences) {
  std::string text;
  for (const std::string& sentence : sentences) text += (text.empty() ? "" : "; ") + sentence;
  return text;
}

// Makes the arm's model without reading weights, and notes what it says about itself.
void check_model(PlannedArm& arm, const Plan& plan, int length) {
  const model::Decoder decoder = build_decoder(arm.resolved, *plan.source, *plan.registry,
                                               {.seed = static_cast<std::uint64_t>(plan.spec.seed),
                                                .allow_nonfinite = plan.allow_nonfinite,
                                                .check_only = true});
  arm.weight_bytes = decoder.weight_bytes();
  const model::Session session = decoder.make_session(1, 0);
  arm.kv_heads = session.shape(0).kv_heads;
  for (int layer = 1; layer < session.layers(); ++layer)
    if (session.shape(layer).kv_heads != arm.kv_heads) arm.kv_heads = 0;
  arm.cost = cost_of(arm.resolved, decoder, session);
  const std::vector<std::string>& of_weights = decoder.notes();
  arm.notes = arm.resolved.notes;
  arm.notes.insert(arm.notes.end(), of_weights.begin(), of_weights.end());
  try {
    if (const auto warning = decoder.check_length(length)) arm.notes.push_back(*warning);
  } catch (const Error& error) {
    arm.refused = error.problems().front().text();
  }
}

void plan_arms(Plan& plan, int length) {
  std::vector<Problem> problems;
  std::vector<Error> model_errors;
  std::size_t running = 0;
  for (const Arm& arm : plan.spec.arms) {
    PlannedArm planned{.arm = arm};
    planned.threads = arm.threads > 0 ? arm.threads : plan.threads;
    planned.resolved = resolve_arm(arm, plan.source->config(), *plan.registry);
    if (plan.source->constructed() == "recall" && planned.resolved.conflicts.empty())
      if (std::string conflict = recall_conflict(planned.resolved, plan.source->config()); !conflict.empty())
        planned.resolved.conflicts.push_back(std::move(conflict));
    planned.refused = joined(planned.resolved.conflicts);
    if (planned.refused.empty()) {
      try {
        check_model(planned, plan, length);
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

void check_weights(const Plan& plan) {
  if (!plan.source->constructed().empty() || plan.source->is_random() || plan.allow_nonfinite) return;
  const model::Checkpoint checkpoint = model::Checkpoint::open(plan.source->path());
  for (const std::string& name : checkpoint.names()) {
    const model::StoredTensor tensor = *checkpoint.find(name);
    model::check_weight_dtype(tensor);
    model::check_finite(tensor);
    tensor.file->release(*tensor.info);
  }
}

}  // namespace

Plan make_plan(const std::filesystem::path& file, const PlanOptions& options) {
  SpecDocument document = open_spec(file, options.overrides);
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
      defaults = arm_defaults(plan.source->config());
    } catch (const Error& error) {
      document.problems.add(document.model.where, error);
    }
  }
  plan.spec = read_spec(document, lookup_in(*plan.registry), defaults);
  if (!options.only.empty()) plan.spec.keep_only(options.only);
  plan.allow_nonfinite = plan.spec.allow_nonfinite;
  plan.threads = options.threads > 0     ? options.threads
                 : plan.spec.threads > 0 ? plan.spec.threads
                                         : available_processors();
  int length = 0;
  for (std::size_t workload = 0; workload < plan.spec.workloads.size(); ++workload) {
    const Workload& one = plan.spec.workloads[workload];
    length = std::max(length, longest(one, *plan.source));
    const std::vector<std::string> labels = case_labels(one);
    for (std::size_t index = 0; index < labels.size(); ++index)
      plan.cases.push_back(
          {workload, index, std::string(workload_name(one)), labels[index], is_deterministic(one), ""});
  }
  plan_arms(plan, length);
  check_weights(plan);
  identify(plan);
  int most = 0;
  for (const PlannedArm& arm : plan.arms) most = std::max(most, arm.threads);
  if (most > available_processors())
    plan.warnings.push_back(
        fmt::format("{} threads on {} processors: speeds say nothing", most, available_processors()));
  return plan;
}

}  // namespace attnlab::experiment
