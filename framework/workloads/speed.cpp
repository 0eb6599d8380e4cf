#include "workloads/speed.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "config/json_schema.h"
#include "config/map_reader.h"
#include "workloads/workload_keys.h"

namespace attnlab::experiment {
namespace {

using config::MapReader;
using config::Node;
using config::ProblemList;

constexpr std::int64_t kMaxRows = std::numeric_limits<int>::max();
constexpr std::size_t kMaxCases = 10'000;
// What is shorter is repeated so long: about what arms that take turns are given on a machine with some noise.
constexpr double kUsuallyTimed = 0.8;

// What was read so far.
struct Read {
  std::vector<std::string> labels;
  std::unique_ptr<SpeedWorkload> speed = std::make_unique<SpeedWorkload>();

  void add(std::string label, SpeedCase one) {
    labels.push_back(std::move(label));
    speed->cases.push_back(std::move(one));
  }
};

void read_batches(const Node& node, Read& read, ProblemList& problems) {
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
    if (read.labels.size() == kMaxCases) {
      problems.add(item.mark(), fmt::format("speed: more than {} cases", kMaxCases));
      return;
    }
    if (!labels.insert(item.text()).second) {
      problems.add(item.mark(), fmt::format("the batch \"{}\" is there twice", item.text()));
      continue;
    }
    read.add(item.text(), *std::move(batch));
  }
}

// Every combination of the lists, the prompt changing slowest.
void read_prompts(MapReader& reader, Read& read, const WorkloadReading& reading) {
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
          read.add(std::move(label),
                   PromptShape{static_cast<int>(prompt), static_cast<int>(generate), static_cast<int>(count)});
        }
      }
}

ReadWorkload read_speed(MapReader& reader, const WorkloadReading& reading) {
  Read read;
  if (const Node* batch = reader.find("batch")) {
    read_batches(*batch, read, reading.problems);
    for (const char* key : {"prompt", "generate", "sequences"}) {
      if (reader.find(key) != nullptr)
        reading.problems.add(reading.where, fmt::format("speed: {} stands beside batch", key),
                             "give batch, or prompt and generate; both need two workloads");
    }
  } else if (reading.options.entries().empty()) {
    reading.problems.add(reading.where, "speed: nothing to measure", "give batch, or prompt and generate");
  } else if (!reader.misspells("batch")) {
    read_prompts(reader, read, reading);
  }
  return {std::move(read.labels), std::move(read.speed)};
}

std::vector<CaseFeeding> feedings_of(const PromptShape& shape) {
  const std::vector<int> prompts(shape.sequences, shape.prompt);
  return {{.capacities = std::vector<int>(shape.sequences, shape.prompt + shape.generate),
           .filled = std::vector<int>(shape.sequences, 0),
           .prompts = prompts,
           .decodes = true}};
}

std::vector<CaseFeeding> feedings_of(const Batch& batch) {
  CaseFeeding feeding{.capacities = totals(batch), .decodes = is_decode(batch)};
  for (const BatchPart& part : batch) {
    const int fed = feeding.decodes ? decode_steps(batch) : part.new_tokens;
    feeding.filled.insert(feeding.filled.end(), part.count, part.total - fed);
    feeding.prompts.insert(feeding.prompts.end(), part.count, feeding.decodes ? 0 : fed);
  }
  return {feeding};
}

// Once to warm up, then until it lasted long enough.
double repeated(double seconds) {
  return seconds + std::max(seconds, kUsuallyTimed);
}

double seconds_of(const Batch& batch, const ForwardTime& time) {
  const double steps = decode_steps(batch);
  std::vector<DecodedSequences> decoded;
  double prompts = 0;
  for (const BatchPart& part : batch) {
    decoded.push_back({static_cast<double>(part.count), static_cast<double>(part.total), part.total - steps});
    prompts += part.count * time.prefill(part.new_tokens, part.total - part.new_tokens, 1);
  }
  return is_decode(batch) ? repeated(steps * time.step(decoded)) : repeated(prompts);
}

double seconds_of(const PromptShape& shape, const ForwardTime& time) {
  return repeated(shape.sequences * time.prefill(shape.prompt, 0, 1)) +
         repeated(time.steps(shape.prompt, shape.prompt + shape.generate, shape.sequences));
}

CaseRows rows_of(const Batch& batch) {
  double rows = 0;
  for (const BatchPart& part : batch) rows += static_cast<double>(part.count) * part.total;
  return {rows, static_cast<double>(sequences(batch))};
}

CaseRows rows_of(const PromptShape& shape) {
  return {static_cast<double>(shape.sequences) * (shape.prompt + shape.generate), static_cast<double>(shape.sequences)};
}

int longest_of(const Batch& batch) {
  return std::ranges::max(batch, {}, &BatchPart::total).total;
}

int longest_of(const PromptShape& shape) {
  return shape.prompt + shape.generate;
}

std::map<std::string, double> numbers_of(const Batch& batch) {
  int longest = 0;
  bool alike = true;
  for (const BatchPart& part : batch) {
    longest = std::max(longest, part.total);
    alike = alike && part.new_tokens == batch.front().new_tokens;
  }
  std::map<std::string, double> numbers{{"context", longest}, {"sequences", sequences(batch)}};
  if (alike) numbers["new_tokens"] = batch.front().new_tokens;
  return numbers;
}

std::map<std::string, double> numbers_of(const PromptShape& prompt) {
  return {{"context", prompt.prompt + prompt.generate},
          {"prefill", prompt.prompt},
          {"new_tokens", prompt.generate},
          {"sequences", prompt.sequences}};
}

void complete_schema(nlohmann::ordered_json& schema) {
  const nlohmann::ordered_json batch{{"required", {"batch"}}, {"maxProperties", 1}};
  schema["anyOf"] = {batch, {{"required", {"prompt", "generate"}}, {"maxProperties", 3}}};
}

void define_forms(nlohmann::ordered_json& definitions) {
  const nlohmann::ordered_json batch{{"type", "string"}, {"pattern", kBatchPattern}};
  definitions["batches"] = config::one_or_list(config::any_of({batch, config::schema_of(batch_range_keys())}));
  definitions["batch_pattern"] = {{"type", "string"}, {"pattern", R"(^[^*]*\*[^*]*$)"}};
}

const RegisteredWorkload kRegistered{
    {.name = "speed",
     .doc = "Prefill and decode speed, latencies and bytes.",
     .place = 10,
     .keys = {{.name = "batch",
               .type = config::KeyType::form,
               .doc = "Batches as <count>q<new tokens>[k][s<total length>[k]], joined by _: 8q1s1k.",
               .form = "batches",
               .written = "batch or a list"},
              {.name = "prompt",
               .type = config::KeyType::integers,
               .doc = "Tokens of the prompt.",
               .min = 1,
               .max = kMostCount},
              {.name = "generate",
               .type = config::KeyType::integers,
               .doc = "Tokens after the prompt, one at a time.",
               .min = 1,
               .max = kMostCount},
              {.name = "sequences",
               .type = config::KeyType::integers,
               .doc = "Sequences at once; default 1.",
               .min = 1,
               .max = kMostCount}},
     .is_timed = true,
     .has_written_labels = true,
     .reads_ranges = true,
     .read = read_speed,
     .complete_schema = complete_schema,
     .define_forms = define_forms}};

}  // namespace

CaseSize SpeedWorkload::size(std::size_t index, ModelTexts&) const {
  return {.longest = std::visit([](const auto& shape) { return longest_of(shape); }, cases[index])};
}

std::vector<CaseFeeding> SpeedWorkload::feedings(std::size_t index, const CaseSize&) const {
  return std::visit([](const auto& shape) { return feedings_of(shape); }, cases[index]);
}

double SpeedWorkload::seconds(std::size_t index, const CaseSize&, const ForwardTime& time) const {
  return std::visit([&](const auto& shape) { return seconds_of(shape, time); }, cases[index]);
}

CaseRows SpeedWorkload::most_rows(std::size_t index, const CaseSize&) const {
  return std::visit([](const auto& shape) { return rows_of(shape); }, cases[index]);
}

Measured SpeedWorkload::measure(std::size_t index, const TrialContext& trial) const {
  // The process is new, so a case of speed is always the first of its kind and runs once unmeasured.
  return measure_speed(trial.decoder, cases[index], trial.seed, trial.turns);
}

std::map<std::string, double> SpeedWorkload::numbers(std::size_t index) const {
  return std::visit([](const auto& shape) { return numbers_of(shape); }, cases[index]);
}

}  // namespace attnlab::experiment
