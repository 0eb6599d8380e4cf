#include "experiment/case_feeding.h"

namespace attnlab::experiment {
namespace {

std::vector<CaseFeeding> feedings(const PromptShape& shape) {
  const std::vector<int> prompts(shape.sequences, shape.prompt);
  return {{.capacities = std::vector<int>(shape.sequences, shape.prompt + shape.generate),
           .filled = std::vector<int>(shape.sequences, 0),
           .prompts = prompts,
           .decodes = true}};
}

std::vector<CaseFeeding> feedings(const Batch& batch) {
  CaseFeeding feeding{.capacities = totals(batch), .decodes = is_decode(batch)};
  for (const BatchPart& part : batch) {
    const int fed = feeding.decodes ? decode_steps(batch) : part.new_tokens;
    feeding.filled.insert(feeding.filled.end(), part.count, part.total - fed);
    feeding.prompts.insert(feeding.prompts.end(), part.count, feeding.decodes ? 0 : fed);
  }
  return {feeding};
}

CaseFeeding one_sequence(int prompt, int length) {
  return {.capacities = {length}, .filled = {0}, .prompts = {prompt}, .decodes = prompt < length};
}

}  // namespace

std::vector<CaseFeeding> feedings_of(const Workload& workload, std::size_t index, std::int64_t prompt_tokens) {
  if (const auto* speed = std::get_if<SpeedWorkload>(&workload))
    return std::visit([](const auto& shape) { return feedings(shape); }, speed->cases[index].shape);
  if (const auto* perplexity = std::get_if<PerplexityWorkload>(&workload))
    return {one_sequence(perplexity->prefill, perplexity->context)};
  if (const auto* recall = std::get_if<RecallWorkload>(&workload))
    return {one_sequence(recall->prompt(), recall->shape.length)};
  const auto& generate = std::get<GenerateWorkload>(workload);
  const int prompt = static_cast<int>(prompt_tokens);
  return {one_sequence(prompt, prompt + generate.tokens)};
}

}  // namespace attnlab::experiment
