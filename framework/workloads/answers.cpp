#include "workloads/answers.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "config/plugin_choice.h"
#include "config/scalars.h"
#include "tasks/read_task.h"
#include "tasks/task_kind.h"
#include "tasks/text_tokenizer.h"
#include "workloads/workload_keys.h"

namespace attnlab::experiment {
namespace {

using config::Node;

constexpr std::string_view kQuery = "query";

// The task as it is written: its name, with a map of options, a list, or nothing.
struct WrittenTask {
  std::string name;
  config::Mark where;
  Node options;
};

WrittenTask written(const Node& task) {
  if (!task.is_map() || task.entries().empty()) return {task.text(), task.mark(), {}};
  const Node::Entry& entry = task.entries().front();
  return {entry.key, entry.key_mark, entry.value};
}

// "needle_length1024_keys2": what was written of the options, in its order.
std::string label_of(const WrittenTask& task) {
  std::string label = task.name;
  for (const Node::Entry& option : task.options.entries()) {
    std::string value = option.value.text();
    for (const Node& item : option.value.items()) value += (value.empty() ? "" : "-") + item.text();
    if (!value.empty() && value.find('/') == std::string::npos) label += fmt::format("_{}{}", option.key, value);
  }
  return label;
}

// How long a text is depends on the model, which is not known yet.
bool depends_on_model(const WrittenTask& task) {
  for (const tasks::TaskKind* kind : tasks::task_kinds()) {
    if (kind->name != task.name) continue;
    const std::string_view key = tasks::tokenizer_key().name;
    return kind->is_list() || (std::ranges::find(kind->keys, key, &config::Key::name) != kind->keys.end() &&
                               task.options.find(key) == nullptr);
  }
  return false;
}

// Of an option that is one, or a list of one: a depth.
std::optional<double> number_of(const Node::Entry& option) {
  const bool is_list = option.value.is_sequence();
  if (is_list && option.value.items().size() != 1) return std::nullopt;
  config::ProblemList no_number;
  const auto value = config::as_real(is_list ? option.value.items().front() : option.value, option.key, no_number);
  return no_number.empty() ? value : std::nullopt;
}

void check_answers(const tasks::Task& task, config::ProblemList& problems) {
  if (task.facts().has_answers) return;
  problems.add(task.facts().where, fmt::format("answers: {} has no right answers to count", task.facts().name),
               "give a task whose answers follow from the input, as needle, recall or copy");
}

ReadWorkload read_answers(config::MapReader& reader, const WorkloadReading& reading) {
  auto read = std::make_unique<AnswersWorkload>();
  AnswersWorkload& answers = *read;
  answers.where = reading.where.text();
  answers.folder = reading.folder;
  answers.examples = reader.count("examples").value_or(0);
  answers.seed = reader.integer("seed");
  if (reader.choice(kQuery) == "before") answers.query = Query::before;
  std::string label = "answers";
  if (const Node* task = reader.find("task")) {
    answers.task = *task;
    const WrittenTask as = written(*task);
    label = label_of(as);
    config::ProblemList found;
    if (const auto tried = tasks::read_task(*task, found, reading.folder)) check_answers(*tried, found);
    // What is wrong with the whole of a text is said once the model is there.
    reading.problems.add(depends_on_model(as) ? found.without(as.where) : found);
  }
  label += fmt::format("_examples{}", answers.examples);
  if (answers.query == Query::before) label += "_query_before";
  if (answers.seed) label += fmt::format("_seed{}", *answers.seed);
  return {{std::move(label)}, std::move(read)};
}

const RegisteredWorkload kRegistered{
    {.name = "answers",
     .doc = "Right answers in examples of a task (needle, recall, copy ...), which are never those of a training.",
     .place = 45,
     .keys = {{.name = "task",
               .type = config::KeyType::form,
               .doc = "As under `train`: {needle: {length: 1024}}. Its text is cut as the model's.",
               .required = true,
               .form = "task"},
              count_key("examples", "Examples.", true),
              {.name = kQuery,
               .type = config::KeyType::choice,
               .doc = "Whether the question is read after the prompt, token by token and so after what the cache does "
                      "to a prompt, or is the end of the prompt: after (default) or before.",
               .choices = {"after", "before"}},
              seed_key("Seed of the examples; default: the experiment's.")},
     .is_deterministic = true,
     .read = read_answers}};

}  // namespace

std::unique_ptr<tasks::Task> AnswersWorkload::task_for(const ModelSource& model) const {
  config::ProblemList problems;
  std::unique_ptr<tasks::Task> made = tasks::read_task(task, problems, folder, model.text_folder());
  if (made) check_answers(*made, problems);
  problems.throw_if_any();
  tasks::check_task(*made, {.vocab_size = model.config().vocab_size});
  return made;
}

tasks::Example AnswersWorkload::example(const tasks::Task& of, std::uint64_t seed_of_study, int number) const {
  tasks::Example drawn;
  of.example(seed ? static_cast<std::uint64_t>(*seed) : seed_of_study, tasks::Split::validation, number, drawn);
  return drawn;
}

std::int64_t AnswersWorkload::prompt(const tasks::Example& example) const {
  const auto asked =
      std::ranges::find_if(example.targets, [](tasks::TokenId token) { return token != tasks::kNoTarget; });
  const std::int64_t first = asked - example.targets.begin();
  if (query == Query::before) return std::min(first + 1, std::ssize(example.input));
  return std::max<std::int64_t>(1, std::min(first, example.question > 0 ? example.question : first));
}

CaseSize AnswersWorkload::size(std::size_t, ModelTexts& model) const {
  const auto made = task_for(model.source());
  return {.longest = made->length(), .tokens = prompt(example(*made, 1, 0))};
}

std::vector<CaseFeeding> AnswersWorkload::feedings(std::size_t, const CaseSize& size) const {
  return {one_sequence(static_cast<int>(size.tokens), size.longest)};
}

double AnswersWorkload::seconds(std::size_t, const CaseSize& size, const ForwardTime& time) const {
  return examples * (time.prefill(static_cast<double>(size.tokens), 0, 1) +
                     time.steps(static_cast<double>(size.tokens), size.longest));
}

Measured AnswersWorkload::measure(std::size_t, const TrialContext& trial) const {
  return measure_answers(trial.decoder, *this, *task_for(trial.model.source()), trial.seed, trial.compression);
}

std::map<std::string, double> AnswersWorkload::numbers(std::size_t) const {
  const WrittenTask as = written(task);
  std::map<std::string, double> numbers;
  for (const Node::Entry& option : as.options.entries())
    if (const auto value = number_of(option)) numbers[option.key] = *value;
  return numbers;
}

std::map<std::string, std::string> AnswersWorkload::data(FileHashes& files,
                                                         const std::vector<std::int64_t>& seeds) const {
  const WrittenTask as = written(task);
  std::string kind = as.name;
  for (const Node::Entry& option : as.options.entries())
    if (!number_of(option)) kind += fmt::format(", {} {}", option.key, config::to_json(option.value).dump());
  if (query == Query::before) kind += ", query before";
  nlohmann::ordered_json identity = nlohmann::ordered_json::array();
  identify(identity, files);
  return {{"examples", std::to_string(examples)},
          {"kind", std::move(kind)},
          {"task", identity.dump()},
          {"seed", seed_text(seed, seeds)}};
}

// Defaults are those of this build, and a tokenizer that is not named is the model's: both are in every identity.
void AnswersWorkload::identify(nlohmann::ordered_json& identity, FileHashes& files) const {
  identity.push_back(config::to_json(task));
  config::ProblemList ignored;
  const auto made = tasks::read_task(task, ignored, folder);
  if (!made) return;  // it needs the model, and has no file of its own then
  for (const std::filesystem::path& file : made->facts().files) identity.push_back(files.quick(file));
  if (made->facts().tokenizer.empty()) return;
  for (const std::filesystem::path& file : model::tokenizer_files(made->facts().tokenizer))
    identity.push_back(files.quick(file));
}

void AnswersWorkload::describe(nlohmann::ordered_json& planned, std::int64_t seed_of_study) const {
  planned.update({{"task", config::to_json(task)},
                  {"examples", examples},
                  {"query", query == Query::before ? "before" : "after"},
                  {"seed", seed.value_or(seed_of_study)}});
}

}  // namespace attnlab::experiment
