#include "experiment/spec_workloads.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include <attnlab/error.h>
#include <fmt/format.h>

#include "config/map_reader.h"
#include "config/plugin_choice.h"
#include "config/ranges.h"
#include "config/scalars.h"
#include "experiment/spec_keys.h"
#include "experiment/spec_paths.h"

namespace attnlab::experiment {
namespace {

using config::MapReader;
using config::Node;
using config::ProblemList;

constexpr std::int64_t kMaxRows = std::numeric_limits<int>::max();
constexpr std::size_t kMaxCases = 10'000;

struct Reading {
  const Node& options;
  const config::Mark& where;
  const std::filesystem::path& folder;
  ProblemList& problems;
};

void read_batches(const Node& node, std::vector<SpeedCase>& cases, ProblemList& problems) {
  const std::vector<Node> single = {node};
  std::vector<Node> batches;
  for (const Node& item : node.is_sequence() ? node.items() : single) {
    if (item.is_map())
      std::ranges::move(expand_batches(item, problems), std::back_inserter(batches));
    else
      batches.push_back(item);
  }
  if (node.is_sequence() && node.items().empty())
    problems.add(node.mark(), "batch: the list is empty", "write batches such as q512 or 8q1s1k");
  std::set<std::string> labels;
  for (const Node& item : batches) {
    auto batch = read_batch(item, problems);
    if (!batch) continue;
    if (cases.size() == kMaxCases) {
      problems.add(item.mark(), fmt::format("speed: more than {} cases", kMaxCases));
      return;
    }
    if (!labels.insert(item.text()).second) {
      problems.add(item.mark(), fmt::format("the batch \"{}\" is there twice", item.text()));
      continue;
    }
    cases.push_back({item.text(), *std::move(batch)});
  }
}

// Every combination of the lists, the prompt changing slowest.
void read_prompts(MapReader& reader, std::vector<SpeedCase>& cases, const Reading& reading) {
  for (const char* key : {"prompt", "generate"}) reader.require(key);
  const auto prompts = reader.integers("prompt");
  const auto generates = reader.integers("generate");
  const auto sequences =
      reader.find("sequences") == nullptr ? std::optional(std::vector<std::int64_t>{1}) : reader.integers("sequences");
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
        if (prompt + generate > kMaxRows / count) {
          reading.problems.add(reading.where, fmt::format("speed: {} has more than {} rows in all", label, kMaxRows));
        } else if (!labels.insert(label).second) {
          reading.problems.add(reading.where, fmt::format("speed: the case \"{}\" is there twice", label));
        } else {
          cases.push_back({std::move(label),
                           PromptShape{static_cast<int>(prompt), static_cast<int>(generate), static_cast<int>(count)}});
        }
      }
}

Workload read_speed(MapReader& reader, const Reading& reading) {
  SpeedWorkload speed;
  if (const Node* batch = reader.find("batch")) {
    read_batches(*batch, speed.cases, reading.problems);
    for (const char* key : {"prompt", "generate", "sequences"}) {
      if (reader.find(key) != nullptr)
        reading.problems.add(reading.where, fmt::format("speed: {} stands beside batch", key),
                             "give batch, or prompt and generate; both need two workloads");
    }
  } else if (reading.options.entries().empty()) {
    reading.problems.add(reading.where, "speed: nothing to measure", "give batch, or prompt and generate");
  } else if (!reader.misspells("batch")) {
    read_prompts(reader, speed.cases, reading);
  }
  return speed;
}

// Tokens of the prompt; `all`: `length` of them. None where the key is not there or a problem was added.
std::optional<int> read_prefill(const MapReader& reader, const char* length_key, std::optional<int> length,
                                ProblemList& problems) {
  const Node* node = reader.find("prefill");
  if (node == nullptr) return std::nullopt;
  if (node->is_scalar() && node->text() == kWholePrefill) return length;
  if (node->is_scalar() && config::plain_type(node->text()) == config::ScalarType::text) {
    problems.add(node->mark(), fmt::format("prefill: expected a number of tokens, got {}", config::describe(*node)),
                 fmt::format("write the tokens of the prompt, or {}", kWholePrefill));
    return std::nullopt;
  }
  const auto tokens = config::as_integer(*node, "prefill", problems, 1, kMaxRows);
  if (!tokens) return std::nullopt;
  if (length && *tokens > *length) {
    problems.add(node->mark(), fmt::format("prefill: {} is more than the {} of {}", *tokens, length_key, *length));
    return std::nullopt;
  }
  return static_cast<int>(*tokens);
}

std::string prefill_label(int prefill, int length) {
  return prefill >= length ? fmt::format("_prefill_{}", kWholePrefill) : fmt::format("_prefill{}", prefill);
}

Workload read_perplexity(MapReader& reader, const Reading& reading) {
  PerplexityWorkload perplexity;
  perplexity.where = reading.where.text();
  if (const Node* text = reader.find("text"))
    perplexity.text = read_first_path(*text, "text", reading.folder, PathKind::file, reading.problems).value_or("");
  const auto context = reader.count("context");
  const auto prefill = read_prefill(reader, "context", context, reading.problems);
  perplexity.context = context.value_or(0);
  perplexity.prefill = prefill.value_or(perplexity.context);
  perplexity.says_prefill = reader.find("prefill") != nullptr;
  perplexity.max_windows = reader.count("max_windows").value_or(0);
  perplexity.label = fmt::format("{}_context{}", perplexity.text.stem().string(), perplexity.context);
  if (perplexity.says_prefill) perplexity.label += prefill_label(perplexity.prefill, perplexity.context);
  if (perplexity.max_windows > 0) perplexity.label += fmt::format("_windows{}", perplexity.max_windows);
  return perplexity;
}

Workload read_generate(MapReader& reader, const Reading&) {
  GenerateWorkload generate;
  generate.prompt = reader.text("prompt").value_or("");
  generate.tokens = reader.count("tokens").value_or(0);
  generate.temperature = reader.real("temperature").value_or(0);
  generate.top_k = reader.count("top_k").value_or(0);
  generate.top_p = reader.real("top_p").value_or(1);
  generate.seed = reader.integer("seed");
  generate.label = fmt::format("tokens{}", generate.tokens);
  return generate;
}

Workload read_recall(MapReader& reader, const Reading& reading) {
  RecallWorkload recall;
  recall.where = reading.where.text();
  const auto length = reader.count("length");
  const auto pairs = reader.count("pairs");
  recall.examples = reader.count("examples").value_or(0);
  const bool has_vocab = reader.find("vocab") != nullptr;
  const auto vocab = has_vocab ? reader.count("vocab") : std::optional(recall.shape.vocab);
  recall.seed = reader.integer("seed");
  if (length && pairs && vocab) {
    const RecallShape shape{.length = *length, .pairs = *pairs, .vocab = *vocab};
    if (const auto problem = recall_problem(shape))
      reading.problems.add(reading.where, "recall: " + problem->what, problem->remedy);
    recall.shape = shape;
  }
  const auto prefill = read_prefill(reader, "length", length, reading.problems);
  recall.prefill = prefill.value_or(0);
  recall.label = fmt::format("length{}_pairs{}_examples{}", recall.shape.length, recall.shape.pairs, recall.examples);
  if (has_vocab) recall.label += fmt::format("_vocab{}", recall.shape.vocab);
  if (prefill) recall.label += prefill_label(recall.prefill, recall.shape.length);
  if (recall.seed) recall.label += fmt::format("_seed{}", *recall.seed);
  return recall;
}

using WorkloadReader = Workload (*)(MapReader& reader, const Reading& reading);

// In the order of the variant, as the tables of keys are.
constexpr std::array<WorkloadReader, std::variant_size_v<Workload>> kReaders = {read_speed, read_perplexity,
                                                                                read_generate, read_recall};

std::vector<std::string> known_names() {
  std::vector<std::string> names;
  for (const WorkloadKeys& workload : workload_keys()) names.emplace_back(workload.name);
  return names;
}

// A range among the keys of a workload makes several of it; speed takes lists, and its ranges are read there.
std::vector<Node> with_ranges_written_out(const std::vector<Node>& items, ProblemList& problems) {
  std::vector<Node> all;
  for (const Node& item : items) {
    if (item.find("speed") != nullptr)
      all.push_back(item);
    else
      std::ranges::move(config::expand_ranges(item, problems), std::back_inserter(all));
  }
  return all;
}

// Two texts may share a stem, and two prompts a length; what was made here is numbered, what was written is not.
void make_unique(std::string& label, std::map<std::string, int>& uses) {
  if (const int use = ++uses[label]; use > 1) label += fmt::format("_{}", use);
}

}  // namespace

std::string_view workload_name(const Workload& workload) {
  return workload_keys()[workload.index()].name;
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
  for (const Node& item : with_ranges_written_out(node.items(), problems)) {
    const auto choice = config::read_choice(item, "workload", problems);
    if (!choice) continue;
    const auto& tables = workload_keys();
    const auto keys = std::ranges::find(tables, choice->id, &WorkloadKeys::name);
    if (keys == tables.end()) {
      problems.add(choice->where, fmt::format("unknown workload {}", config::in_quotes(choice->id)),
                   config::name_remedy(choice->id, known_names(), "workloads"));
      continue;
    }
    MapReader reader(choice->options, choice->id, keys->keys, problems);
    Workload workload = kReaders[static_cast<std::size_t>(keys - tables.begin())](
        reader, {choice->options, choice->where, folder, problems});
    reader.finish();
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
