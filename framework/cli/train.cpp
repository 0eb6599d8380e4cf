// attnlab train: trains a model alone, from a file that names it, its seed and `train:`.
#include <fmt/format.h>

#include <algorithm>

#include <attnlab/error.h>

#include "base/sha256.h"
#include "choices/layered_choice.h"
#include "cli/command.h"
#include "parallel/parallel.h"
#include "tasks/read_task.h"
#include "training/byte_tokenizer.h"
#include "training/train_file.h"
#include "training/trainer.h"

namespace attnlab::cli {
namespace {

namespace fs = std::filesystem;

struct TrainOptions {
  fs::path file, out;
  bool resumes = false;
  int threads = 0;
  std::vector<fs::path> plugins;
};

experiment::ResolvedArm arm_of(const training::TrainFile& file, const experiment::ModelSource& source,
                               const Registry& registry) {
  const experiment::ComponentLookup lookup = experiment::lookup_in(registry);
  const experiment::ArmDefaults own = experiment::arm_defaults(source.config());
  const auto choice = [&](Kind kind, const std::optional<experiment::LayeredChoice>& given, const std::string& id) {
    return given ? *given : experiment::parse_layered(kind, id, "the model", lookup);
  };
  experiment::Arm chosen;
  chosen.attention = choice(Kind::attention, file.attention, own.attention);
  chosen.position = choice(Kind::position, file.position, own.position);
  chosen.cache = choice(Kind::cache, std::nullopt, own.cache);
  experiment::ResolvedArm arm = experiment::resolve_arm(chosen, source.config(), registry);
  if (!arm.conflicts.empty()) {
    std::vector<Problem> problems;
    for (const std::string& conflict : arm.conflicts) problems.push_back({file.file.string(), conflict, ""});
    throw Error(std::move(problems));
  }
  return arm;
}

// Digests of what a kept state belongs to. Weights are those of the start.
training::Belonging belonging(const training::TrainFile& file, const tasks::Task& task,
                              const TrainedParameters& parameters, const nlohmann::ordered_json& config,
                              const experiment::ResolvedArm& arm) {
  using experiment::sha256_of_text;
  std::string weights = config.dump();
  for (const TrainedParameter& parameter : parameters.all())
    weights += parameter.name +
               sha256_of_text({reinterpret_cast<const char*>(parameter.values.data()), parameter.values.size_bytes()});
  std::string data = task.facts().resolved.dump();
  for (const fs::path& path : task.facts().files) data += experiment::sha256_of_file(path);
  if (!task.facts().tokenizer.empty())
    for (const fs::path& path : training::tokenizer_files(task.facts().tokenizer))
      data += experiment::sha256_of_file(path);
  return {{"the model", sha256_of_text(weights)},
          {"the settings", sha256_of_text(training::describe_train(file.train).dump() + std::to_string(file.seed) +
                                          experiment::describe_arm(arm).dump())},
          {"the task", sha256_of_text(data)}};
}

// A checkpoint as the start, with what the choices changed of it.
training::CheckpointParts checkpoint_of(const experiment::ModelSource& source, const tasks::Task& task,
                                        const TrainedParameters& parameters) {
  std::vector<training::TrainedTensor> tensors;
  nlohmann::ordered_json changed;
  const model::ModelConfig& config = source.config();
  for (const TrainedParameter& parameter : parameters.all()) {
    tensors.push_back({parameter.name, parameter.shape, parameter.values, parameter.gradient});
    const std::int64_t kv_heads = parameter.shape.front() / std::max(1, config.head_dim);
    if (parameter.name == "model.layers.0.self_attn.k_proj.weight" && kv_heads != config.kv_heads)
      changed["num_key_value_heads"] = kv_heads;
  }
  training::CheckpointParts parts{.config =
                                      training::config_of_start(source.path(), config.architecture, tensors, changed)};
  // Whose ids the model was trained on, else that of the start.
  if (!task.facts().tokenizer.empty())
    parts.tokenizer_files = training::tokenizer_files(task.facts().tokenizer);
  else if (task.facts().ids_are_bytes)
    parts.tokenizer = training::byte_tokenizer_json(config.vocab_size);
  else if (fs::is_directory(source.path()))
    parts.tokenizer_files = training::tokenizer_files(source.path());
  return parts;
}

int report(const training::TrainingResult& result) {
  using training::TrainingEnd;
  if (result.end == TrainingEnd::diverged) {
    fmt::print(stderr,
               "attnlab: the training diverged by step {}, with a loss of {}; a smaller learning rate, a longer "
               "warm-up or clipping may hold it\n",
               result.steps, result.loss);
    return kFailed;
  }
  fmt::print("{} {} steps, {} tokens, {:.0f} s, loss {:.4f}",
             result.end == TrainingEnd::finished ? "finished:" : "stopped early:", result.steps, result.tokens,
             result.seconds, result.loss);
  if (result.held_out) {
    fmt::print(", held out {:.4f}, accuracy {:.4f}", result.held_out->loss, result.held_out->accuracy);
    if (result.held_out->above_optimum) fmt::print(", {:.4f} above the optimum", *result.held_out->above_optimum);
  }
  fmt::print("\n");
  return kAllWell;
}

// Of a training that begins: nothing is there; of one that goes on: a folder.
void check_folder(const TrainOptions& options) {
  std::error_code fault;
  const fs::file_status status = fs::status(options.out, fault);
  const std::string out = options.out.string();
  if (fs::exists(status) && !fs::is_directory(status)) throw Error(out, "is no folder", "name a folder with -o");
  if (options.resumes && !fs::exists(status))
    throw Error(out, "there is no such folder, so nothing to resume", "leave --resume out to begin");
  if (options.resumes || !fs::exists(status)) return;
  const bool is_empty = fs::is_empty(options.out, fault);
  if (fault) throw Error(out, "the folder cannot be read: " + fault.message());
  if (!is_empty)
    throw Error(out, "the folder is not empty", "choose another one, or go on with what was begun there: --resume");
}

// Positions that every scheme of the model can represent; 0: any number.
int most_positions(const model::Decoder& decoder) {
  int most = 0;
  for (int layer = 0; layer < decoder.config().layers; ++layer)
    if (const int of_layer = decoder.position(layer).max_positions(); of_layer > 0)
      most = most == 0 ? of_layer : std::min(most, of_layer);
  return most;
}

int train(const TrainOptions& options) {
  if (options.threads > 0) set_threads(options.threads);
  check_folder(options);
  const auto registry = std::make_unique<Registry>(Registry::standard(options.plugins));
  const training::TrainFile file = training::read_train_file(options.file, experiment::lookup_in(*registry));
  if (!file.train.search.empty())
    throw Error(file.train.where.text(), "search is a part of an experiment, where each rate is a training",
                "write the rate into the optimiser");
  const std::unique_ptr<tasks::Task> task = tasks::read_task(file.train.task);
  const experiment::ModelSource source = experiment::ModelSource::open(file.model);
  const experiment::ResolvedArm arm = arm_of(file, source, *registry);
  model::Decoder decoder =
      experiment::build_decoder(arm, source, *registry, {.seed = static_cast<std::uint64_t>(file.seed), .widen = true});
  const bool needs_validation = file.train.evaluate.has_value();
  tasks::check_task(*task, {.vocab_size = source.config().vocab_size,
                            .batch = file.train.batch,
                            .most_positions = most_positions(decoder),
                            .needs_validation = needs_validation});
  if (const auto warning = decoder.check_length(task->length())) warn(*warning);
  training::TrainedModel model(decoder);
  training::CheckpointParts checkpoint = checkpoint_of(source, *task, model.parameters());
  const training::TrainingPlan plan{.choice = file.train,
                                    .task = *task,
                                    .seed = static_cast<std::uint64_t>(file.seed),
                                    .folder = options.out,
                                    .belongs_to = belonging(file, *task, model.parameters(), checkpoint.config, arm),
                                    .checkpoint = std::move(checkpoint),
                                    .resumes = options.resumes};
  return report(training::train(model, plan, [](const training::TrainingProgress& at) {
    fmt::print("step {} of {}, loss {:.4f}, {:.0f} s left\n", at.step, at.steps, at.loss, at.seconds_left);
    std::fflush(stdout);
  }));
}

}  // namespace

void add_train(CLI::App& app, std::function<int()>& run) {
  CLI::App* command = app.add_subcommand("train", "Train a model from a file with `model`, `seed` and `train`");
  auto options = std::make_shared<TrainOptions>();
  command->add_option("FILE", options->file, "The training: model, seed, train, and optionally attention, position")
      ->required();
  command->add_option("-o,--out", options->out, "Folder for training.csv and checkpoint/")->required();
  command->add_flag("--resume", options->resumes, "Go on from the state that was kept last in the folder");
  command->add_option("--threads", options->threads, "Threads; default: all processors")->check(CLI::Range(1, 1024));
  command->add_option("--plugin", options->plugins, "A plugin file or folder beside those of the build");
  command->callback([=, &run] { run = [=] { return train(*options); }; });
}

}  // namespace attnlab::cli
