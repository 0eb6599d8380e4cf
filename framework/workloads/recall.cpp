#include "workloads/recall.h"

#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "workloads/prefill.h"
#include "workloads/workload_keys.h"

namespace attnlab::experiment {
namespace {

ReadWorkload read_recall(config::MapReader& reader, const WorkloadReading& reading) {
  auto read = std::make_unique<RecallWorkload>();
  RecallWorkload& recall = *read;
  recall.where = reading.where.text();
  const auto length = reader.count("length");
  const auto pairs = reader.count("pairs");
  recall.examples = reader.count("examples").value_or(0);
  const bool has_vocab = reader.find("vocab") != nullptr;
  const auto vocab = has_vocab ? reader.count("vocab") : std::optional(recall.shape.vocab);
  recall.seed = reader.integer("seed");
  if (length && pairs && vocab) {
    const tasks::RecallShape shape{.length = *length, .pairs = *pairs, .vocab = *vocab};
    if (const auto problem = tasks::recall_problem(shape))
      reading.problems.add(reading.where, "recall: " + problem->what, problem->remedy);
    recall.shape = shape;
  }
  const auto prefill = read_prefill(reader, "length", length, reading.problems);
  recall.prefill = prefill.value_or(0);
  std::string label =
      fmt::format("length{}_pairs{}_examples{}", recall.shape.length, recall.shape.pairs, recall.examples);
  if (has_vocab) label += fmt::format("_vocab{}", recall.shape.vocab);
  if (prefill) label += prefill_label(recall.prefill, recall.shape.length);
  if (recall.seed) label += fmt::format("_seed{}", *recall.seed);
  return {{std::move(label)}, std::move(read)};
}

const RegisteredWorkload kRegistered{
    {.name = "recall",
     .doc = "Multi-query associative recall: what a policy forgot.",
     .place = 40,
     .keys = {count_key("length", "Tokens of an example.", true),
              count_key("pairs", "Pairs of a key and a value.", true),
              prefill_key("Tokens of the prompt; only queries after it are scored. Default: the pairs, after which all "
                          "queries come."),
              count_key("examples", "Examples.", true),
              count_key("vocab", "Tokens that examples are made of; default 8192."),
              seed_key("Seed of the examples; default: the experiment's.")},
     .is_deterministic = true,
     .read = read_recall}};

}  // namespace

CaseSize RecallWorkload::size(std::size_t, ModelTexts& model) const {
  const int vocab = model.config().vocab_size;
  if (shape.vocab > vocab)
    throw Error(where, fmt::format("recall: a vocab of {} is more than the {} tokens of the model", shape.vocab, vocab),
                fmt::format("give vocab: {}", vocab));
  return {.longest = shape.length};
}

std::vector<CaseFeeding> RecallWorkload::feedings(std::size_t, const CaseSize&) const {
  return {one_sequence(prompt(), shape.length)};
}

double RecallWorkload::seconds(std::size_t, const CaseSize&, const ForwardTime& time) const {
  return examples * (time.prefill(prompt(), 0, 1) + time.steps(prompt(), shape.length));
}

Measured RecallWorkload::measure(std::size_t, const TrialContext& trial) const {
  // Only the constructed model answers whatever its cache still holds.
  const bool is_constructed = trial.model.source().constructed() == "recall";
  return measure_recall(trial.decoder, *this, trial.seed,
                        is_constructed ? predict_recall(trial.decoder, shape.length, trial.compression) : std::nullopt,
                        trial.compression);
}

std::map<std::string, double> RecallWorkload::numbers(std::size_t) const {
  return {{"length", shape.length}, {"pairs", shape.pairs}, {"prefill", prompt()}};
}

std::map<std::string, std::string> RecallWorkload::data(FileHashes&, const std::vector<std::int64_t>& seeds) const {
  return {
      {"examples", std::to_string(examples)}, {"vocab", std::to_string(shape.vocab)}, {"seed", seed_text(seed, seeds)}};
}

void RecallWorkload::describe(nlohmann::ordered_json& planned, std::int64_t seed_of_study) const {
  planned.update({{"length", shape.length},
                  {"pairs", shape.pairs},
                  {"prefill", prompt()},
                  {"examples", examples},
                  {"vocab", shape.vocab},
                  {"seed", seed.value_or(seed_of_study)}});
}

}  // namespace attnlab::experiment
