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
#include "study/plan.h"

namespace attnlab::experiment {
namespace {

using nlohmann::ordered_json;

// The library that holds this code: a build that computes something else has other bytes.
std::filesystem::path own_library() {
  Dl_info info{};
  ATTNLAB_CHECK(dladdr(reinterpret_cast<const void*>(&identify), &info) != 0, "the library does not know its own file");
  return info.dli_fname;
}

ordered_json model_identity(const ModelSource& source, FileHashes& files) {
  if (!source.constructed().empty()) return {{"constructed", source.constructed()}};
  if (source.is_random()) return files.quick(source.path());
  std::map<std::string, std::string> hashes;
  for (const auto& entry : std::filesystem::directory_iterator(source.path()))
    if (entry.is_regular_file() && entry.path().extension() != ".md")
      hashes[entry.path().filename().string()] = files.quick(entry.path());
  return hashes;
}

ordered_json case_identity(const Plan& plan, const PlannedCase& planned, FileHashes& files) {
  ordered_json all{planned.workload_name, planned.label};
  const ChosenWorkload& chosen = plan.spec.workloads[planned.workload];
  chosen.workload->identify(all, files);
  if (!chosen.kind->against_baseline.empty()) all.push_back(plan.arms[plan.spec.baseline].identity);
  return all;
}

}  // namespace

void identify(Plan& plan) {
  if (!plan.files) plan.files = std::make_shared<FileHashes>();
  FileHashes& files = *plan.files;
  for (PlannedArm& arm : plan.arms) {
    std::set<std::string> plugins;
    for (const ResolvedLayer& layer : arm.resolved.layers)
      for (const Descriptor* component : layer.descriptors()) plugins.insert(files.quick(component->file));
    const ordered_json all{
        {"name", arm.arm.name}, {"arm", describe_arm(arm.resolved)}, {"plugins", plugins}, {"threads", arm.threads}};
    arm.identity = sha256_of_text(all.dump());
  }
  for (PlannedCase& planned : plan.cases) planned.identity = sha256_of_text(case_identity(plan, planned, files).dump());
  const ordered_json all{{"model", model_identity(*plan.source, files)},
                         {"threads", plan.threads},
                         {"allow_nonfinite", plan.allow_nonfinite},
                         {"build", files.quick(own_library())}};
  plan.identity = sha256_of_text(all.dump());
}

std::string trial_id(const Plan& plan, const PlannedArm& arm, const PlannedCase& planned, std::int64_t seed,
                     int round) {
  // A workload may have a seed of its own; then only the weights of a random model follow the experiment's.
  const std::optional<std::int64_t> own = plan.workload_of(planned).own_seed();
  return sha256_of_text(fmt::format("{} {} {} {} {} {}", plan.identity, arm.identity, planned.identity, seed,
                                    own.value_or(seed), round))
      .substr(0, 24);
}

}  // namespace attnlab::experiment
