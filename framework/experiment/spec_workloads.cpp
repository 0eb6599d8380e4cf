#include "experiment/spec_workloads.h"

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include <attnlab/error.h>
#include <fmt/format.h>

#include "config/map_reader.h"
#include "config/plugin_choice.h"
#include "config/scalars.h"
#include "experiment/spec_paths.h"

namespace attnlab::experiment {
namespace {

using config::MapReader;
using config::Node;
using config::ProblemList;

constexpr std::int64_t kMaxCount = std::numeric_limits<int>::max();
constexpr std::size_t kMaxCases = 10'000;

struct Reading {
  const Node& options;
  const config::Mark& where;
  const std::filesystem::path& folder;
  ProblemList& problems;
};

// An int from 1 (or `min`) on; absent where the key is, or where a problem was added.
std::optional<int> read_count(const Node* node, std::string_view name, ProblemList& problems, int min = 1) {
  if (node == nullptr) return std::nullopt;
  const auto count = config::as_integer(*node, name, problems, min, kMaxCount);
  return count ? std::optional(static_cast<int>(*count)) : std::nullopt;
}

void read_batches(const Node& node, std::vector<SpeedCase>& cases, ProblemList& problems) {
  const std::vector<Node> single = {node};
  const std::vector<Node>& batches = node.is_sequence() ? node.items() : single;
  if (batches.empty()) problems.add(node.mark(), "batch: the list is empty", "write batches such as q512 or 8q1s1k");
  std::set<std::string> labels;
  for (const Node& item : batches) {
    auto batch = read_batch(item, problems);
    if (!batch) continue;
    if (!labels.insert(item.text()).second) {
      problems.add(item.mark(), fmt::format("the batch \"{}\" is there twice", item.text()));
      continue;
    }
    cases.push_back({item.text(), *std::move(batch)});
  }
}

// Every combination of the lists, the prompt changing slowest.
void read_prompts(MapReader& reader, std::vector<SpeedCase>& cases, const Reading& reading) {
  const auto read_list = [&](std::string_view key, const Node* node) {
    if (node == nullptr) return std::optional<std::vector<std::int64_t>>();
    return config::as_integers(*node, key, reading.problems, 1, kMaxCount);
  };
  const auto prompts = read_list("prompt", reader.require("prompt"));
  const auto generates = read_list("generate", reader.require("generate"));
  const Node* counts = reader.take("sequences");
  const auto sequences =
      counts == nullptr ? std::optional(std::vector<std::int64_t>{1}) : read_list("sequences", counts);
  if (!prompts || !generates || !sequences) return;
  if (prompts->size() * generates->size() * sequences->size() > kMaxCases) {
    reading.problems.add(reading.where, fmt::format("speed: more than {} cases", kMaxCases));
    return;
  }
  std::set<std::string> labels;
  for (const std::int64_t prompt : *prompts)
    for (const std::int64_t generate : *generates)
      for (const std::int64_t count : *sequences) {
        std::string label = fmt::format("prompt{}_generate{}_sequences{}", prompt, generate, count);
        if (prompt + generate > kMaxCount / count) {
          reading.problems.add(reading.where, fmt::format("speed: {} has more than {} rows in all", label, kMaxCount));
        } else if (!labels.insert(label).second) {
          reading.problems.add(reading.where, fmt::format("speed: the case \"{}\" is there twice", label));
        } else {
          cases.push_back({std::move(label),
                           PromptShape{static_cast<int>(prompt), static_cast<int>(generate), static_cast<int>(count)}});
        }
      }
}

Workload read_speed(const Reading& reading) {
  MapReader reader(reading.options, "speed", reading.problems);
  SpeedWorkload speed;
  const Node* batch = reader.take("batch");
  if (batch != nullptr) {
    read_batches(*batch, speed.cases, reading.problems);
    for (const char* key : {"prompt", "generate", "sequences"}) {
      if (reader.take(key) != nullptr)
        reading.problems.add(reading.where, fmt::format("speed: {} stands beside batch", key),
                             "give batch, or prompt and generate; both need two workloads");
    }
  } else if (reading.options.entries().empty()) {
    reading.problems.add(reading.where, "speed: nothing to measure", "give batch, or prompt and generate");
  } else if (!reader.misspells("batch")) {
    read_prompts(reader, speed.cases, reading);
  }
  reader.finish();
  return speed;
}

Workload read_perplexity(const Reading& reading) {
  MapReader reader(reading.options, "perplexity", reading.problems);
  PerplexityWorkload perplexity;
  if (const Node* text = reader.require("text"))
    perplexity.text = read_path(*text, "text", reading.folder, PathKind::file, reading.problems).value_or("");
  const auto context = read_count(reader.require("context"), "context", reading.problems, 2);
  const Node* prefill_node = reader.take("prefill");
  const auto prefill = read_count(prefill_node, "prefill", reading.problems);
  if (prefill && context && *prefill > *context) {
    reading.problems.add(prefill_node->mark(),
                         fmt::format("prefill: {} is more than the context of {}", *prefill, *context));
  }
  perplexity.context = context.value_or(0);
  perplexity.prefill = prefill.value_or(perplexity.context);
  perplexity.max_windows = read_count(reader.take("max_windows"), "max_windows", reading.problems).value_or(0);
  reader.finish();

  perplexity.label = fmt::format("{}_context{}", perplexity.text.stem().string(), perplexity.context);
  if (perplexity.prefill != perplexity.context) perplexity.label += fmt::format("_prefill{}", perplexity.prefill);
  if (perplexity.max_windows > 0) perplexity.label += fmt::format("_windows{}", perplexity.max_windows);
  return perplexity;
}

Workload read_generate(const Reading& reading) {
  MapReader reader(reading.options, "generate", reading.problems);
  GenerateWorkload generate;
  ProblemList& problems = reading.problems;
  if (const Node* prompt = reader.require("prompt"))
    generate.prompt = config::as_text(*prompt, "prompt", problems).value_or("");
  generate.tokens = read_count(reader.require("tokens"), "tokens", problems).value_or(0);
  if (const Node* temperature = reader.take("temperature"))
    generate.temperature = config::as_real(*temperature, "temperature", problems, 0).value_or(0);
  generate.top_k = read_count(reader.take("top_k"), "top_k", problems, 0).value_or(0);
  if (const Node* top_p = reader.take("top_p")) {
    generate.top_p = config::as_real(*top_p, "top_p", problems, 0, 1).value_or(1);
    if (generate.top_p == 0) problems.add(top_p->mark(), "top_p: 0 leaves no token to choose", "1 leaves all");
  }
  if (const Node* seed = reader.take("seed"))
    generate.seed = config::as_integer(*seed, "seed", problems, 0, config::kMaxInteger);
  reader.finish();
  generate.label = fmt::format("tokens{}", generate.tokens);
  return generate;
}

Workload read_recall(const Reading& reading) {
  MapReader reader(reading.options, "recall", reading.problems);
  RecallWorkload recall;
  recall.where = reading.where.text();
  const auto length = read_count(reader.require("length"), "length", reading.problems);
  const auto pairs = read_count(reader.require("pairs"), "pairs", reading.problems);
  recall.examples = read_count(reader.require("examples"), "examples", reading.problems).value_or(0);
  const Node* vocab_node = reader.take("vocab");
  const auto vocab = vocab_node == nullptr ? std::optional(recall.shape.vocab)
                                           : read_count(vocab_node, "vocab", reading.problems);
  if (const Node* seed = reader.take("seed"))
    recall.seed = config::as_integer(*seed, "seed", reading.problems, 0, config::kMaxInteger);
  reader.finish();
  if (length && pairs && vocab) {
    const RecallShape shape{.length = *length, .pairs = *pairs, .vocab = *vocab};
    if (const auto problem = recall_problem(shape))
      reading.problems.add(reading.where, "recall: " + problem->what, problem->remedy);
    recall.shape = shape;
  }
  recall.label = fmt::format("length{}_pairs{}_examples{}", recall.shape.length, recall.shape.pairs, recall.examples);
  if (vocab_node != nullptr) recall.label += fmt::format("_vocab{}", recall.shape.vocab);
  if (recall.seed) recall.label += fmt::format("_seed{}", *recall.seed);
  return recall;
}

struct WorkloadReader {
  const char* name;
  Workload (*read)(const Reading&);
};

// In the order of the variant.
constexpr std::array kReaders = {WorkloadReader{"speed", read_speed}, WorkloadReader{"perplexity", read_perplexity},
                                 WorkloadReader{"generate", read_generate}, WorkloadReader{"recall", read_recall}};

std::vector<std::string> known_names() {
  std::vector<std::string> names;
  for (const WorkloadReader& reader : kReaders) names.emplace_back(reader.name);
  return names;
}

// Two texts may share a stem, and two prompts a length; what was made here is numbered, what was written is not.
void make_unique(std::string& label, std::map<std::string, int>& uses) {
  if (const int use = ++uses[label]; use > 1) label += fmt::format("_{}", use);
}

}  // namespace

std::string_view workload_name(const Workload& workload) {
  return kReaders[workload.index()].name;
}

std::vector<std::string> case_labels(const Workload& workload) {
  if (const auto* speed = std::get_if<SpeedWorkload>(&workload)) {
    std::vector<std::string> labels;
    for (const SpeedCase& one : speed->cases) labels.push_back(one.label);
    return labels;
  }
  if (const auto* perplexity = std::get_if<PerplexityWorkload>(&workload)) return {perplexity->label};
  if (const auto* recall = std::get_if<RecallWorkload>(&workload)) return {recall->label};
  return {std::get<GenerateWorkload>(workload).label};
}

std::vector<Workload> read_workloads(const Node& node, const std::filesystem::path& folder, ProblemList& problems) {
  if (!node.is_sequence() || node.items().empty()) {
    problems.add(
        node.mark(),
        fmt::format("workloads: expected a list, got {}", node.is_sequence() ? "an empty one" : config::describe(node)),
        "write \"- speed: {batch: [q512]}\"");
    return {};
  }
  std::vector<Workload> workloads;
  std::map<std::string, int> perplexity_uses;
  std::map<std::string, int> generate_uses;
  std::map<std::string, int> recall_uses;
  std::map<std::string, config::Mark> speed_cases;
  for (const Node& item : node.items()) {
    const auto choice = config::read_choice(item, "workload", problems);
    if (!choice) continue;
    const auto reader = std::ranges::find(kReaders, choice->id, &WorkloadReader::name);
    if (reader == kReaders.end()) {
      problems.add(choice->where, fmt::format("unknown workload {}", config::in_quotes(choice->id)),
                   config::name_remedy(choice->id, known_names(), "workloads"));
      continue;
    }
    Workload workload = reader->read({choice->options, choice->where, folder, problems});
    if (auto* perplexity = std::get_if<PerplexityWorkload>(&workload)) make_unique(perplexity->label, perplexity_uses);
    if (auto* generate = std::get_if<GenerateWorkload>(&workload)) make_unique(generate->label, generate_uses);
    if (auto* recall = std::get_if<RecallWorkload>(&workload)) make_unique(recall->label, recall_uses);
    if (const auto* speed = std::get_if<SpeedWorkload>(&workload)) {
      for (const SpeedCase& one : speed->cases) {
        const auto [other, is_new] = speed_cases.emplace(one.label, choice->where);
        if (!is_new)
          problems.add(choice->where, fmt::format("speed: the case \"{}\" is also in the workload at {}", one.label,
                                                  other->second.text()));
      }
    }
    workloads.push_back(std::move(workload));
  }
  return workloads;
}

}  // namespace attnlab::experiment
