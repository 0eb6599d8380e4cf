#include "experiment/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include <attnlab/error.h>

#include "base/plugin_call.h"
#include "experiment/case_feeding.h"
#include "experiment/estimate.h"
#include "experiment/prompt.h"
#include "experiment/recall_prediction.h"
#include "experiment/spec_keys.h"
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

// What only the model can tell of a workload: whether its text, its prompt or its vocabulary can be used.
void check_workload(const Workload& workload, const ModelSource& source) {
  const int vocab = source.config().vocab_size;
  std::visit(Overloaded{[](const SpeedWorkload&) {},
                        [&](const PerplexityWorkload& perplexity) {
                          (void)read_text_windows(perplexity.text, *source.tokenizer(), vocab, perplexity.context,
                                                  perplexity.max_windows);
                        },
                        [&](const GenerateWorkload& generate) {
                          check_prompt(encode_prompt(*source.tokenizer(), generate.prompt), vocab, "generate: prompt");
                        },
                        [&](const RecallWorkload& recall) {
                          if (recall.shape.vocab > vocab)
                            throw Error(recall.where,
                                        fmt::format("recall: a vocab of {} is more than the {} tokens of the model",
                                                    recall.shape.vocab, vocab),
                                        fmt::format("give vocab: {}", vocab));
                        }},
             workload);
}

// Contexts that sequences of the plan's cases may reach, each with a case that has it.
using Contexts = std::map<int, std::string>;

Contexts contexts_of(const Plan& plan) {
  Contexts contexts;
  for (const PlannedCase& planned : plan.cases)
    for (const CaseFeeding& feeding : feedings_of(plan.spec.workloads[planned.workload], planned.index, *plan.source))
      contexts.try_emplace(feeding.capacity, planned.workload_name + " " + planned.label);
  return contexts;
}

bool is_deterministic(const Workload& workload) {
  return std::holds_alternative<PerplexityWorkload>(workload) || std::holds_alternative<RecallWorkload>(workload);
}

std::string joined(const std::vector<std::string>& sentences) {
  std::string text;
  for (const std::string& sentence : sentences) text += (text.empty() ? "" : "; ") + sentence;
  return text;
}

// Why a cache of the arm cannot be made for a context: a share of it may be fewer rows than the policy needs.
std::string context_conflict(const model::Decoder& decoder, const Contexts& contexts) {
  for (const auto& [capacity, example] : contexts) {
    try {
      (void)decoder.make_session(1, capacity);
    } catch (const PluginRefusal& error) {
      return fmt::format("in a context of {} ({}): {}", capacity, example, error.problems().front().text());
    }
  }
  return {};
}

// Makes the arm's model without reading weights, and notes what it says about itself.
void check_model(PlannedArm& arm, const Plan& plan, const Contexts& contexts) {
  const model::Decoder decoder = build_decoder(arm.resolved, *plan.source, *plan.registry,
                                               {.seed = static_cast<std::uint64_t>(plan.spec.seed),
                                                .allow_nonfinite = plan.allow_nonfinite,
                                                .check_only = true});
  arm.weight_bytes = decoder.weight_bytes();
  arm.refused = context_conflict(decoder, contexts);
  if (!arm.refused.empty()) return;
  const int length = contexts.rbegin()->first;
  model::Session session = decoder.make_session(1, length);
  arm.compression = compression_of(arm.resolved, *plan.registry, session);
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

void plan_arms(Plan& plan) {
  const Contexts contexts = contexts_of(plan);
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
        check_model(planned, plan, contexts);
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

// A quality of a smaller cache is that of tokens that read it. Without `prefill` a window is one prompt, which is
// answered before rows are dropped or rounded; that has to be meant.
void check_prefills(const Plan& plan) {
  const auto arm = std::ranges::find_if(
      plan.arms, [](const PlannedArm& one) { return one.refused.empty() && one.compression.has_value(); });
  if (arm == plan.arms.end()) return;
  std::vector<Problem> problems;
  for (const Workload& workload : plan.spec.workloads) {
    const auto* perplexity = std::get_if<PerplexityWorkload>(&workload);
    if (perplexity == nullptr || perplexity->says_prefill) continue;
    problems.push_back(
        {perplexity->where,
         fmt::format("perplexity: the key \"prefill\" is missing, and arm \"{}\" needs it: {}, and without it a "
                     "window is one prompt, after which no token reads the compressed cache",
                     arm->arm.name, arm->compression->text()),
         fmt::format("write prefill: {} (the rest of the context is fed token by token and scored), or prefill: {} to "
                     "score prompts alone",
                     std::max(1, perplexity->context / 2), kWholePrefill)});
  }
  if (!problems.empty()) throw Error(std::move(problems));
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
  for (std::size_t workload = 0; workload < plan.spec.workloads.size(); ++workload) {
    const Workload& one = plan.spec.workloads[workload];
    check_workload(one, *plan.source);
    const std::vector<std::string> labels = case_labels(one);
    for (std::size_t index = 0; index < labels.size(); ++index)
      plan.cases.push_back(
          {workload, index, std::string(workload_name(one)), labels[index], is_deterministic(one), ""});
  }
  plan_arms(plan);
  check_prefills(plan);
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
