// What a trial is known by. All that its outcome may depend on is hashed: the arm's resolved options and the files of
// its plugins, the weights, the text, seeds, threads and this build. Resuming keeps trials by these names.
#include <dlfcn.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <map>
#include <set>

#include <attnlab/error.h>

#include "base/file_hashes.h"
#include "base/sha256.h"
#include "model/checkpoints/gguf_file.h"
#include "model/tokenizers/tokenizer.h"
#include "study/plan.h"
#include "training/trained_checkpoint.h"

namespace attnlab::experiment {
namespace {

using nlohmann::ordered_json;

constexpr std::size_t kIdDigits = 24;

// The library that holds this code: a build that computes something else has other bytes.
std::filesystem::path own_library() {
  Dl_info info{};
  ATTNLAB_CHECK(dladdr(reinterpret_cast<const void*>(&identify), &info) != 0, "the library does not know its own file");
  return info.dli_fname;
}

ordered_json model_identity(const ModelSource& source, FileHashes& files) {
  if (!source.constructed().empty()) return {{"constructed", source.constructed()}};
  if (source.is_random() || model::is_gguf(source.path())) return files.quick(source.path());
  std::map<std::string, std::string> hashes;
  for (const auto& entry : std::filesystem::directory_iterator(source.path()))
    if (entry.is_regular_file() && entry.path().extension() != ".md")
      hashes[entry.path().filename().string()] = files.quick(entry.path());
  return hashes;
}

// Where texts are not cut as the model's own folder says.
ordered_json tokenizer_identity(const ModelSource& source, FileHashes& files) {
  std::vector<std::string> hashes;
  for (const std::filesystem::path& file : model::tokenizer_files(source.tokenizer_folder()))
    hashes.push_back(files.quick(file));
  return hashes;
}

ordered_json case_identity(const Plan& plan, const PlannedCase& planned, FileHashes& files) {
  ordered_json all{planned.workload_name, planned.label};
  const ChosenWorkload& chosen = plan.spec.workloads[planned.workload];
  chosen.workload->identify(all, files);
  if (chosen.kind->is_timed && !plan.spec.interleave) all.push_back("alone");
  if (!chosen.kind->against_baseline.empty()) all.push_back(plan.arms[plan.spec.baseline].identity);
  return all;
}

// Caches have no part in a training, and the other rates of a search none either.
std::string training_id(const Plan& plan, const PlannedTraining& training, FileHashes& files) {
  const PlannedArm& arm = plan.arms[plan.groups[training.group].arms.front()];
  const ordered_json described = describe_arm(arm.resolved);
  std::set<std::string> plugins;
  for (const ResolvedLayer& layer : arm.resolved.layers)
    for (const Descriptor* component : {layer.attention.descriptor, layer.position.descriptor})
      plugins.insert(files.quick(component->file));
  const ordered_json all{{"plan", plan.identity},
                         {"attention", described.at("attention")},
                         {"position", described.at("position")},
                         {"plugins", plugins},
                         {"model", arm.source->changed_keys()},
                         {"threads", arm.threads},
                         {"train", training::describe_train(arm.trained->with_rate(training.rate))},
                         {"task", arm.trained->task_digest},
                         {"seed", training.seed}};
  return sha256_of_text(all.dump()).substr(0, kIdDigits);
}

}  // namespace

void identify(Plan& plan) {
  if (!plan.files) plan.files = std::make_shared<FileHashes>();
  FileHashes& files = *plan.files;
  for (PlannedArm& arm : plan.arms) {
    std::set<std::string> plugins;
    for (const ResolvedLayer& layer : arm.resolved.layers)
      for (const Descriptor* component : layer.descriptors()) plugins.insert(files.quick(component->file));
    ordered_json all{
        {"name", arm.arm.name}, {"arm", describe_arm(arm.resolved)}, {"plugins", plugins}, {"threads", arm.threads}};
    if (const ordered_json model = arm.source->changed_keys(); !model.empty()) all["model"] = model;
    if (arm.trained != nullptr)
      all["train"] = {training::describe_train(arm.trained->choice), arm.trained->task_digest};
    arm.identity = sha256_of_text(all.dump());
  }
  for (PlannedCase& planned : plan.cases) planned.identity = sha256_of_text(case_identity(plan, planned, files).dump());
  const ordered_json all{{"model", model_identity(*plan.source, files)},
                         {"threads", plan.threads},
                         {"allow_nonfinite", plan.allow_nonfinite},
                         {"tokenizer", tokenizer_identity(*plan.source, files)},
                         {"build", files.quick(own_library())}};
  plan.identity = sha256_of_text(all.dump());
  for (PlannedTraining& training : plan.trainings) training.id = training_id(plan, training, files);
}

std::string trial_id(const Plan& plan, const PlannedArm& arm, const PlannedCase& planned, std::int64_t seed,
                     int round) {
  // A workload may have a seed of its own; then only the weights of a random model follow the experiment's.
  const std::optional<std::int64_t> own = plan.workload_of(planned).own_seed();
  return sha256_of_text(fmt::format("{} {} {} {} {} {}", plan.identity, arm.identity, planned.identity, seed,
                                    own.value_or(seed), round))
      .substr(0, kIdDigits);
}

}  // namespace attnlab::experiment
