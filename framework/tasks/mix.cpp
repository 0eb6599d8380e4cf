// Shares of other tasks. Every 1000 examples in a row hold each task exactly as often as its share says, in an order of
// their own, so that which example of which task comes at an index is known without the others.
#include <algorithm>
#include <cmath>
#include <memory>

#include <fmt/format.h>

#include "config/scalars.h"
#include "tasks/example_order.h"
#include "tasks/generated.h"
#include "tasks/read_task.h"
#include "tasks/task_schema.h"

namespace attnlab::tasks {
namespace {

constexpr std::int64_t kBlock = 1000;
constexpr std::string_view kShare = "share", kWeight = "weight";

struct MixPart {
  std::unique_ptr<Task> task;
  double share = 0;
  double weight = 1;
  std::int64_t first = 0, end = 0;  // of a block
};

class MixTask final : public Task {
 public:
  MixTask(TaskFacts facts, std::vector<MixPart> parts) : facts_(std::move(facts)), parts_(std::move(parts)) {}

  int length() const override {
    int most = 0;
    for (const MixPart& part : parts_) most = std::max(most, part.task->length());
    return most;
  }
  int vocab_size() const override {
    int most = 0;
    for (const MixPart& part : parts_) most = std::max(most, part.task->vocab_size());
    return most;
  }
  std::int64_t examples(Split split) const override {
    const bool has_all =
        std::ranges::all_of(parts_, [&](const MixPart& part) { return part.task->examples(split) > 0; });
    return has_all ? kEndless : 0;
  }
  const TaskFacts& facts() const override { return facts_; }

  void example(std::uint64_t seed, Split split, std::int64_t index, Example& to) const override {
    const std::int64_t block = index / kBlock;
    SplitMix64 order(seed, static_cast<std::uint64_t>(split));
    const std::int64_t place =
        permuted(index % kBlock, kBlock, SplitMix64::mixed(order.next() + static_cast<std::uint64_t>(block)));
    const auto part = std::ranges::upper_bound(parts_, place, {}, &MixPart::end);
    const std::int64_t number = block * (part->end - part->first) + place - part->first;
    // Two tasks of one kind are not to see the same examples.
    SplitMix64 own(seed, static_cast<std::uint64_t>(part - parts_.begin()));
    const std::uint64_t own_seed = own.next();
    part->task->example(own_seed, split, example_index(*part->task, own_seed, split, number), to);
    to.weight *= part->weight;
  }

 private:
  TaskFacts facts_;
  std::vector<MixPart> parts_;
};

// A task and its share; no task where a problem was added.
MixPart read_part(const config::Node& item, const TaskReading& reading) {
  const auto refuse = [&](const config::Mark& where, std::string_view key) {
    reading.problems.add(where, fmt::format("mix: a task needs a {} above 0", key),
                         key == kShare ? "write {TASK: {OPTION: VALUE}, share: 0.5}"
                                       : "write {TASK: {OPTION: VALUE}, share: 0.5, weight: 10}");
  };
  MixPart part;
  const auto read_positive = [&](std::string_view key, double& to) {
    const config::Node* written = item.find(key);
    if (written == nullptr) return false;
    to = config::as_real(*written, key, reading.problems, 0, 1e9).value_or(1);
    if (to == 0.0) refuse(written->mark(), key);
    return true;
  };
  if (!read_positive(kShare, part.share)) refuse(item.mark(), kShare);
  read_positive(kWeight, part.weight);
  std::vector<config::Node::Entry> others = item.entries();
  std::erase_if(others, [](const config::Node::Entry& entry) { return entry.key == kShare || entry.key == kWeight; });
  const config::Node task = item.is_map() ? config::Node::map(item.mark(), std::move(others)) : item;
  part.task = read_task(task, reading.problems, reading.base, reading.tokenizer);
  return part;
}

// Shares become counts in a block that add up to it: the largest remainders are rounded up.
void allot(std::vector<MixPart>& parts) {
  double all = 0;
  for (const MixPart& part : parts) all += part.share;
  std::int64_t given = 0;
  std::vector<std::pair<double, std::size_t>> remainders;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const double wanted = parts[i].share / all * static_cast<double>(kBlock);
    parts[i].end = static_cast<std::int64_t>(std::floor(wanted));
    remainders.emplace_back(std::floor(wanted) - wanted, i);
    given += parts[i].end;
  }
  std::ranges::sort(remainders);
  for (std::size_t i = 0; given < kBlock; ++i, ++given) ++parts[remainders[i].second].end;
  std::int64_t first = 0;
  for (MixPart& part : parts) {
    part.first = first;
    first = part.end += first;
  }
}

TaskFacts mixed_facts(TaskFacts facts, const std::vector<MixPart>& parts, const TaskReading& reading) {
  facts.has_answers = facts.knows_optimum = true;
  facts.resolved[facts.name] = nlohmann::ordered_json::array();
  const TaskFacts* text = nullptr;
  for (const MixPart& part : parts) {
    const TaskFacts& of = part.task->facts();
    facts.has_answers = facts.has_answers && of.has_answers;
    facts.knows_optimum = facts.knows_optimum && of.knows_optimum;
    facts.files.insert(facts.files.end(), of.files.begin(), of.files.end());
    nlohmann::ordered_json item = of.resolved;
    item[std::string(kShare)] = part.share;
    if (part.weight != 1) item[std::string(kWeight)] = part.weight;
    facts.resolved[facts.name].push_back(std::move(item));
    if (!of.ids_are_bytes && of.tokenizer.empty()) continue;
    if (text != nullptr && text->tokenizer != of.tokenizer)
      reading.problems.add(of.where, fmt::format("mix: {} has another tokenizer than {}", of.name, text->name),
                           "one model has one tokenizer");
    text = &of;
    facts.ids_are_bytes = of.ids_are_bytes;
    facts.tokenizer = of.tokenizer;
  }
  return facts;
}

std::unique_ptr<Task> make_mix(const TaskReading& reading) {
  const std::size_t before = reading.problems.size();
  if (reading.node.items().empty()) {
    reading.problems.add(reading.where,
                         fmt::format("mix: expected a list of tasks, got {}",
                                     reading.node.is_sequence() ? "an empty one" : config::describe(reading.node)),
                         "write mix: [{TASK: {OPTION: VALUE}, share: 0.5}, ...]");
    return nullptr;
  }
  std::vector<MixPart> parts;
  for (const config::Node& item : reading.node.items()) parts.push_back(read_part(item, reading));
  if (reading.problems.size() > before) return nullptr;
  allot(parts);
  for (const MixPart& part : parts)
    if (part.end == part.first)
      reading.problems.add(part.task->facts().where, fmt::format("mix: the share of {} is less than one of {} examples",
                                                                 part.task->facts().name, kBlock));
  TaskFacts facts = mixed_facts(reading.facts(), parts, reading);
  if (reading.problems.size() > before) return nullptr;
  return std::make_unique<MixTask>(std::move(facts), std::move(parts));
}

nlohmann::ordered_json mix_item() {
  nlohmann::ordered_json item = one_task();
  item["properties"][std::string(kShare)] = {
      {"description", "Of all examples, relative to the other shares."}, {"type", "number"}, {"exclusiveMinimum", 0}};
  item["properties"][std::string(kWeight)] = {
      {"description",
       "Of each of its targets in the loss, relative to 1 of the others: so that few answers count beside "
       "many tokens of a text."},
      {"type", "number"},
      {"exclusiveMinimum", 0}};
  // One task, whether it has a weight or not.
  item["required"] = {kShare};
  item.erase("minProperties");
  item.erase("maxProperties");
  item["if"] = {{"required", {kWeight}}};
  item["then"] = {{"minProperties", 3}, {"maxProperties", 3}};
  item["else"] = {{"minProperties", 2}, {"maxProperties", 2}};
  return item;
}

const RegisteredTask kMix{
    {.name = "mix",
     .doc = "Shares of other tasks: a list of {TASK: {OPTION: VALUE}, share: NUMBER}; `weight` beside the "
            "share: of its targets in the loss.",
     .make = make_mix,
     .item_schema = mix_item}};

}  // namespace
}  // namespace attnlab::tasks
