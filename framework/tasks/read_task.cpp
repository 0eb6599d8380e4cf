#include "tasks/read_task.h"

#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "config/option_reader.h"
#include "config/plugin_choice.h"
#include "config/quantities.h"
#include "tasks/task_kind.h"

namespace attnlab::tasks {
namespace {

using config::Node;
using config::ProblemList;

const TaskKind* find_task(const std::string& name, const config::Mark& where, ProblemList& problems) {
  std::vector<std::string> names;
  for (const TaskKind* kind : task_kinds()) {
    if (kind->name == name) return kind;
    names.emplace_back(kind->name);
  }
  problems.add(where, fmt::format("unknown task {}", config::in_quotes(name)),
               config::name_remedy(name, names, "tasks"));
  return nullptr;
}

// `{mix: [...]}`: what is written as a list has no options.
const Node::Entry* list_entry(const Node& node) {
  if (node.entries().size() != 1) return nullptr;
  const Node::Entry& entry = node.entries().front();
  for (const TaskKind* kind : task_kinds())
    if (kind->is_list() && kind->name == entry.key) return &entry;
  return nullptr;
}

// Keys beside the options: that required ones are there, and the count that several kinds take.
void read_keys(TaskReading& reading) {
  for (const config::Key& key : reading.kind.keys) {
    const Node* value = reading.node.find(key.name);
    if (key.required && value == nullptr)
      reading.problems.add(reading.where, fmt::format("the key \"{}\" of {} is missing", key.name, reading.kind.name));
    if (value != nullptr && key.name == examples_key().name)
      reading.examples = config::as_count(*value, key.name, reading.problems).value_or(kEndless);
  }
}

void check_across(const TaskReading& reading) {
  Problems rules;
  if (reading.kind.check != nullptr) reading.kind.check(reading.values, rules);
  for (const auto& [option, what] : rules.entries()) {
    const Node* written = reading.node.find(option);
    reading.problems.add(written != nullptr ? written->mark() : reading.where, fmt::format("{}: {}", option, what));
  }
}

std::unique_ptr<Task> make_task(const TaskKind& kind, const Node& options, const config::Mark& where,
                                const std::filesystem::path& base, const std::filesystem::path& tokenizer,
                                ProblemList& problems) {
  const std::size_t before = problems.size();
  TaskReading reading{
      .kind = kind, .node = options, .where = where, .base = base, .problems = problems, .tokenizer = tokenizer};
  if (!kind.is_list()) {
    std::vector<std::string> keys;
    for (const config::Key& key : kind.keys) keys.emplace_back(key.name);
    reading.values = config::read_options(options, kind.options, kind.name, problems, keys);
    read_keys(reading);
    check_across(reading);
  }
  return problems.size() == before ? kind.make(reading) : nullptr;
}

}  // namespace

std::unique_ptr<Task> read_task(const Node& node, ProblemList& problems, const std::filesystem::path& base,
                                const std::filesystem::path& tokenizer) {
  if (const Node::Entry* entry = list_entry(node)) {
    const TaskKind* kind = find_task(entry->key, entry->key_mark, problems);
    return make_task(*kind, entry->value, entry->key_mark, base, tokenizer, problems);
  }
  const auto choice = config::read_choice(node, "task", problems);
  if (!choice) return nullptr;
  const TaskKind* kind = find_task(choice->id, choice->where, problems);
  return kind == nullptr ? nullptr : make_task(*kind, choice->options, choice->where, base, tokenizer, problems);
}

std::unique_ptr<Task> read_task(const Node& node) {
  ProblemList problems;
  std::unique_ptr<Task> task = read_task(node, problems);
  problems.throw_if_any();
  return task;
}

void check_task(const Task& task, const TaskUse& use) {
  const TaskFacts& facts = task.facts();
  const auto refuse = [&](const std::string& what, const std::string& remedy) {
    throw Error(facts.where.text(), facts.name + ": " + what, remedy);
  };
  if (task.vocab_size() > use.vocab_size)
    refuse(fmt::format("its {} tokens do not fit into the model's vocabulary of {}", task.vocab_size(), use.vocab_size),
           fmt::format("give the model a vocab_size of at least {}", task.vocab_size()));
  if (use.most_positions > 0 && task.length() > use.most_positions)
    refuse(
        fmt::format("its length of {} is more than the {} positions of the model", task.length(), use.most_positions),
        "give a shorter length, or the model a larger max_position_embeddings");
  if (task.examples(Split::train) < use.batch)
    refuse(fmt::format("{} examples are fewer than the {} of a batch", task.examples(Split::train), use.batch),
           "give more examples, a longer text, or a smaller batch");
  if (use.needs_validation && task.examples(Split::validation) == 0)
    refuse("nothing of it is held out, so there is nothing to evaluate on", "give held_out, a share of the data");
}

}  // namespace attnlab::tasks
