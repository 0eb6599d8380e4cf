// attnlab train: trains a model alone, from a file that names it, its seed and `train:`.
#include <fmt/format.h>

#include <attnlab/error.h>

#include "base/sha256.h"
#include "choices/layered_choice.h"
#include "cli/command.h"
#include "parallel/parallel.h"
#include "tasks/read_task.h"
#include "training/arm_training.h"
#include "training/train_file.h"

namespace attnlab::cli {
namespace {

namespace fs = std::filesystem;

struct TrainOptions {
  fs::path file, out;
  bool resumes = false;
  int threads = 0;
  std::vector<fs::path> plugins;
};

experiment::Arm arm_of(const training::TrainFile& file, const experiment::ModelSource& source,
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
  chosen.where.file = file.file.string();
  return chosen;
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
  const experiment::Arm arm = arm_of(file, source, *registry);
  training::ArmTraining training({.arm = arm,
                                  .source = source,
                                  .registry = *registry,
                                  .choice = file.train,
                                  .task = *task,
                                  .seed = static_cast<std::uint64_t>(file.seed)});
  if (const auto warning = training.decoder().check_length(task->length())) warn(*warning);
  using experiment::sha256_of_text;
  const training::Belonging belongs_to{
      {"the model", training.start_digest()},
      {"the settings", sha256_of_text(training::describe_train(file.train).dump() + std::to_string(file.seed) +
                                      experiment::describe_arm(training.arm()).dump())},
      {"the task", training::digest_of(*task)}};
  std::error_code fault;
  std::filesystem::create_directories(options.out, fault);
  if (fault) throw Error(options.out.string(), "the folder cannot be made: " + fault.message());
  const auto files = training::TrainingFiles::in(options.out);
  return report(training.run(files, belongs_to, options.resumes, [](const training::TrainingProgress& at) {
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
