// attnlab gradients: the loss of a text and the gradient of every trainable tensor, as a safetensors file.
#include <attnlab/error.h>

#include "assembly/prompt.h"
#include "cli/command.h"
#include "model/checkpoints/safetensors.h"
#include "training/trained_model.h"

namespace attnlab::cli {
namespace {

struct GradientsOptions {
  std::filesystem::path model, ids, out;
  std::string prompt;
  bool has_prompt = false;
  ModelOptions model_options;
};

int gradients(const GradientsOptions& options) {
  if (options.has_prompt == !options.ids.empty()) throw Error("", "gradients needs either --ids FILE or --prompt TEXT");
  auto [registry, source, arm, decoder] = options.model_options.load(options.model, ModelUse::training);
  const std::vector<model::TokenId> tokens =
      options.has_prompt ? experiment::encode_prompt(*source.tokenizer(), options.prompt) : read_ids(options.ids);
  const std::string where = options.has_prompt ? "--prompt" : options.ids.string();
  experiment::check_prompt(tokens, source.config().vocab_size, where);
  if (tokens.size() < 2) throw Error(where, "a text of one token has nothing to predict", "give at least two tokens");
  if (const auto warning = decoder.check_length(static_cast<int>(tokens.size()))) warn(*warning);

  training::TrainedModel trained(decoder);
  std::vector<model::TokenId> targets(tokens.begin() + 1, tokens.end());
  targets.push_back(training::kNoTarget);
  const training::TrainingSequence text{tokens, targets};
  const double predicted = static_cast<double>(tokens.size() - 1);
  const auto loss = static_cast<float>(trained.accumulate({&text, 1}, 1 / predicted).sum / predicted);
  std::vector<model::OutputTensor> tensors{
      {.name = "loss", .dtype = model::DType::f32, .shape = {1}, .bytes = std::as_bytes(std::span(&loss, 1))}};
  for (const TrainedParameter& parameter : trained.parameters().all())
    tensors.push_back({.name = parameter.name,
                       .dtype = model::DType::f32,
                       .shape = parameter.shape,
                       .bytes = std::as_bytes(parameter.gradient)});
  model::write_safetensors(options.out, tensors);
  return kAllWell;
}

}  // namespace

void add_gradients(CLI::App& app, std::function<int()>& run) {
  CLI::App* command = app.add_subcommand("gradients", "Loss of a text and gradients of all parameters, as safetensors");
  auto options = std::make_shared<GradientsOptions>();
  command->add_option("MODEL", options->model, "Checkpoint folder, GGUF file or model YAML")->required();
  command->add_option("--ids", options->ids, "File with token ids, separated by blanks or commas");
  CLI::Option* prompt = command->add_option("--prompt", options->prompt, "The text");
  command->add_option("-o,--out", options->out, "The file to write")->required();
  options->model_options.add_to(*command, ModelUse::training);
  command->callback([=, &run] {
    options->has_prompt = prompt->count() > 0;
    run = [=] { return gradients(*options); };
  });
}

}  // namespace attnlab::cli
