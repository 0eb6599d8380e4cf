#include "training/arm_training.h"
#include "model/tokenizers/tokenizer.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <attnlab/error.h>
#include <fmt/format.h>

#include "base/sha256.h"
#include "choices/plain_components.h"
#include "machine/instructions.h"
#include "machine/memory.h"
#include "model/checkpoints/gguf_file.h"
#include "report/read/format.h"
#include "tasks/read_task.h"
#include "training/byte_tokenizer.h"

namespace attnlab::training {
namespace {

namespace fs = std::filesystem;
using experiment::sha256_of_text;

// Positions that every scheme of the model can represent; 0: any number.
int most_positions(const model::Decoder& decoder) {
  int most = 0;
  for (int layer = 0; layer < decoder.config().layers; ++layer)
    if (const int of_layer = decoder.position(layer).max_positions(); of_layer > 0)
      most = most == 0 ? of_layer : std::min(most, of_layer);
  return most;
}

std::vector<TrainedTensor> tensors_of(TrainedParameters& parameters) {
  std::vector<TrainedTensor> tensors;
  for (TrainedParameter& parameter : parameters.all())
    tensors.push_back({parameter.name, parameter.shape, parameter.values, parameter.gradient});
  return tensors;
}

const ArmTrainingInput& with_a_start(const ArmTrainingInput& input) {
  if (const model::Architecture architecture = input.source.config().architecture; !model::can_be_trained(architecture))
    throw Error(input.source.path().string(),
                fmt::format("models of {} have no backward pass", model::architecture_name(architecture)),
                "use a model that a model YAML can describe, or a checkpoint of such a model");
  if (model::is_gguf(input.source.path()))
    throw Error(
        input.source.path().string(), "a GGUF file cannot be the start of a training",
        "its tokenizer could not be written beside the trained weights; use the Hugging Face files of the model");
  if (model::is_gguf(input.task.facts().tokenizer))
    throw Error(
        input.task.facts().tokenizer.string(), "a GGUF file cannot be the tokenizer of a training",
        "it could not be written beside the trained weights; name a folder with tokenizer.json or tokenizer.model");
  return input;
}

// Before a number is made: what comes beyond it ends without a word.
void check_memory(const experiment::ResolvedArm& arm, const ArmTrainingInput& input) {
  const model::Decoder decoder =
      experiment::build_decoder(arm, input.source, input.registry,
                                {.seed = input.seed, .allow_nonfinite = true, .check_only = true, .widen = true});
  const double parameters = static_cast<double>(decoder.weight_bytes()) / sizeof(float);
  const double needed = parameters * TrainedModel::kBytesOfParameter;
  const auto there = static_cast<double>(experiment::memory_limit_bytes());
  if (needed <= there) return;
  throw Error(input.choice.where.text(),
              fmt::format("train: weights, gradients and averages take {} of memory, and there are {}",
                          report::format_bytes(needed), report::format_bytes(there)),
              "train a smaller model");
}

experiment::ResolvedArm resolve(const ArmTrainingInput& input) {
  if (input.choice.precision == Arithmetic::bf16 && !experiment::multiplies_bf16())
    throw Error(input.choice.where.text(), fmt::format("precision: {}", experiment::kNoBf16), "train in f32");
  const experiment::Arm arm = without_cache(input.arm, input.registry);
  experiment::ResolvedArm resolved = experiment::resolve_arm(arm, input.source.config(), input.registry);
  if (resolved.conflicts.empty()) {
    check_memory(resolved, input);
    return resolved;
  }
  std::vector<Problem> problems;
  for (const std::string& conflict : resolved.conflicts) problems.push_back({arm.where.text(), conflict, ""});
  throw Error(std::move(problems));
}

// Of the layer that the parameter belongs to; none where it says nothing of them.
std::optional<std::int64_t> kv_heads_of(const TrainedParameter& parameter, const model::ModelConfig& config) {
  if (!parameter.name.ends_with(".self_attn.k_proj.weight")) return std::nullopt;
  return parameter.shape.front() / std::max(1, config.head_dim);
}

}  // namespace

experiment::Arm without_cache(const experiment::Arm& arm, const Registry& registry) {
  experiment::Arm plain = arm;
  plain.cache =
      experiment::parse_layered(Kind::cache, experiment::kPlainCache, "a training", experiment::lookup_in(registry));
  return plain;
}

std::string digest_of(const tasks::Task& task) {
  std::string data = task.facts().resolved.dump();
  for (const fs::path& path : task.facts().files) data += experiment::sha256_of_file(path);
  if (!task.facts().tokenizer.empty())
    for (const fs::path& path : model::tokenizer_files(task.facts().tokenizer))
      data += experiment::sha256_of_file(path);
  return sha256_of_text(data);
}

ArmTraining::ArmTraining(const ArmTrainingInput& input)
    : input_(with_a_start(input)),
      arm_(resolve(input)),
      decoder_(experiment::build_decoder(arm_, input.source, input.registry,
                                         {.seed = input.seed,
                                          .allow_nonfinite = input.allow_nonfinite,
                                          .widen = true,
                                          .trains = true,
                                          .trains_in = input.choice.precision})),
      model_(decoder_) {
  tasks::check_task(input.task, {.vocab_size = decoder_.config().vocab_size,
                                 .batch = input.choice.batch,
                                 .most_positions = most_positions(decoder_),
                                 .needs_validation = input.choice.evaluate.has_value()});
  std::optional<std::int64_t> of_first;
  for (const TrainedParameter& parameter : model_.parameters().all()) {
    const auto kv_heads = kv_heads_of(parameter, decoder_.config());
    if (!kv_heads) continue;
    if (of_first.value_or(*kv_heads) != *kv_heads)
      throw Error(input.arm.where.text(),
                  fmt::format("layers with {} and with {} kv heads cannot be trained: a checkpoint has one number",
                              *of_first, *kv_heads),
                  "give all layers the same number");
    of_first = kv_heads;
  }
}

std::int64_t ArmTraining::parameters() {
  std::int64_t count = 0;
  for (const TrainedParameter& parameter : model_.parameters().all()) count += std::ssize(parameter.values);
  return count;
}

void ArmTraining::check_derivatives() {
  constexpr std::size_t kTokens = 32;  // shapes of parameters do not depend on the length
  tasks::Example example;
  input_.task.example(input_.seed, tasks::Split::train, 0, example);
  example.input.resize(std::min(kTokens, example.input.size()));
  example.targets.assign(example.input.size(), kNoTarget);
  example.targets.back() = example.input.front();
  const TrainingSequence sequence{example.input, example.targets};
  (void)model_.accumulate({&sequence, 1}, 1);
  model_.parameters().clear_gradients();
}

double ArmTraining::bytes(std::int64_t length) const {
  return model_.bytes(std::max<std::int64_t>(1, input_.choice.batch / input_.choice.accumulate), length);
}

std::string ArmTraining::start_digest() {
  std::string weights = checkpoint().config.dump();
  for (const TrainedParameter& parameter : model_.parameters().all())
    weights += parameter.name +
               sha256_of_text({reinterpret_cast<const char*>(parameter.values.data()), parameter.values.size_bytes()});
  return sha256_of_text(weights);
}

CheckpointParts ArmTraining::checkpoint() {
  const model::ModelConfig& config = decoder_.config();
  nlohmann::ordered_json changed = input_.source.changed_keys();
  for (const TrainedParameter& parameter : model_.parameters().all()) {
    if (const auto kv_heads = kv_heads_of(parameter, config); kv_heads && *kv_heads != config.kv_heads)
      changed["num_key_value_heads"] = *kv_heads;
  }
  CheckpointParts parts{
      .config = config_of_start(input_.source.path(), config.architecture, tensors_of(model_.parameters()), changed)};
  // Whose ids the model was trained on, else that of the start.
  const tasks::TaskFacts& facts = input_.task.facts();
  if (!facts.tokenizer.empty())
    parts.tokenizer_files = model::tokenizer_files(facts.tokenizer);
  else if (facts.ids_are_bytes)
    parts.tokenizer = byte_tokenizer_json(config.vocab_size);
  else if (fs::is_directory(input_.source.path()))
    parts.tokenizer_files = model::tokenizer_files(input_.source.path());
  return parts;
}

TrainingResult ArmTraining::run(const TrainingFiles& files, const Belonging& belongs_to, bool resumes,
                                const std::function<void(const TrainingProgress&)>& progress) {
  check_derivatives();  // before a file is there
  const TrainingPlan plan{.choice = input_.choice,
                          .task = input_.task,
                          .seed = input_.seed,
                          .files = files,
                          .belongs_to = belongs_to,
                          .checkpoint = checkpoint(),
                          .resumes = resumes};
  return train(model_, plan, progress);
}

}  // namespace attnlab::training
