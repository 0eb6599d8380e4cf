#include "workloads/generate.h"

#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "assembly/prompt.h"
#include "base/sha256.h"
#include "workloads/workload_keys.h"

namespace attnlab::experiment {
namespace {

ReadWorkload read_generate(config::MapReader& reader, const WorkloadReading&) {
  auto read = std::make_unique<GenerateWorkload>();
  GenerateWorkload& generate = *read;
  generate.prompt = reader.text("prompt").value_or("");
  generate.tokens = reader.count("tokens").value_or(0);
  generate.temperature = reader.real("temperature").value_or(0);
  generate.top_k = reader.count("top_k").value_or(0);
  generate.top_p = reader.real("top_p").value_or(1);
  generate.seed = reader.integer("seed");
  return {{fmt::format("tokens{}", generate.tokens)}, std::move(read)};
}

const RegisteredWorkload kRegistered{
    {.name = "generate",
     .doc = "A continuation of a prompt.",
     .place = 30,
     .keys = {{.name = "prompt", .doc = "The prompt.", .required = true},
              count_key("tokens", "Tokens to generate.", true),
              {.name = "temperature", .type = config::KeyType::real, .doc = "0, the default, is greedy.", .min = 0},
              count_key("top_k", "Draw from so many of the likeliest tokens; default 0: all.", false, 0),
              {.name = "top_p",
               .type = config::KeyType::real,
               .doc = "Draw from the likeliest tokens that make up this share; default 1: all.",
               .min = 0,
               .max = 1,
               .nonzero = true},
              seed_key("Seed of the sampling; default: the experiment's.")},
     .read = read_generate}};

}  // namespace

CaseSize GenerateWorkload::size(std::size_t, ModelTexts& model) const {
  const auto ids = encode_prompt(model.tokenizer(), prompt);
  check_prompt(ids, model.config().vocab_size, "generate: prompt");
  return {.longest = static_cast<int>(ids.size()) + tokens, .tokens = static_cast<std::int64_t>(ids.size())};
}

std::vector<CaseFeeding> GenerateWorkload::feedings(std::size_t, const CaseSize& size) const {
  const int fed = static_cast<int>(size.tokens);
  return {one_sequence(fed, fed + tokens)};
}

double GenerateWorkload::seconds(std::size_t, const CaseSize& size, const ForwardTime& time) const {
  const auto fed = static_cast<double>(size.tokens);
  return time.prefill(fed, 0, 1) + time.steps(fed, fed + tokens);
}

Measured GenerateWorkload::measure(std::size_t, const TrialContext& trial) const {
  return measure_generate(trial.decoder, trial.model.tokenizer(), *this, trial.seed, trial.compression);
}

std::map<std::string, double> GenerateWorkload::numbers(std::size_t) const {
  return {{"new_tokens", tokens}};
}

std::map<std::string, std::string> GenerateWorkload::data(FileHashes&, const std::vector<std::int64_t>& seeds) const {
  return {{"prompt_sha256", sha256_of_text(prompt)},
          {"temperature", fmt::format("{:g}", temperature)},
          {"top_k", std::to_string(top_k)},
          {"top_p", fmt::format("{:g}", top_p)},
          {"seed", seed_text(seed, seeds)}};
}

void GenerateWorkload::identify(nlohmann::ordered_json& identity, FileHashes&) const {
  identity.push_back({prompt, temperature, top_k, top_p});
}

}  // namespace attnlab::experiment
