#include "study/spec_keys.h"

#include <string>

#include <fmt/format.h>

#include "base/element.h"
#include "choices/plain_components.h"
#include "model/constructed_recall.h"

namespace attnlab::experiment {
namespace {

using config::Key;
using config::KeyTable;
using config::KeyType;

constexpr double kMostSeed = 0x1p63;

const Key kWeights{.name = "weights",
                   .type = KeyType::choice,
                   .doc =
                       "How the matrices of the model are held: codes of 8 or 4 bits, in groups of 32. Default: as "
                       "stored.",
                   .choices = {kWeightTypes.begin(), kWeightTypes.end()}};
const Key kCompute{.name = "compute",
                   .type = KeyType::choice,
                   .doc = "What products of many tokens multiply; bf16 needs AVX512-BF16 or AMX. Default: f32.",
                   .choices = {kArithmetics.begin(), kArithmetics.end()}};

Key form(std::string_view name, std::string_view definition, std::string_view doc, bool required = false) {
  return {.name = name, .type = KeyType::form, .doc = doc, .required = required, .form = definition};
}

const Key kModelChange =
    form("model", "model_keys", "Keys of the model YAML that the arm has otherwise; of random weights alone.");
const Key kAttention = form("attention", "attention", "Attention variant; default: the model's own.");
const std::string kOfPosition = fmt::format("Positional scheme; default: {} as the model has it.", kPlainPosition);
const std::string kOfCache = fmt::format("Cache policy, with its storage; default: {}.", kPlainCache);
const Key kPosition = form("position", "position", kOfPosition);
const Key kCache = form("cache", "cache", kOfCache);

}  // namespace

const KeyTable& experiment_keys() {
  static const KeyTable keys = {
      {.name = "name", .doc = "Name of the study and of its folder below results/.", .required = true},
      {.name = "question", .doc = "What the study asks; the report begins with it."},
      form("include", "include", "YAML files whose keys hold where this file does not say otherwise."),
      form("model", "model", "A checkpoint folder, a GGUF file, a model YAML, or a model that code makes.", true),
      {.name = "plugins", .type = KeyType::paths, .doc = "Plugin files or folders beside those of the build."},
      {.name = "seed",
       .type = KeyType::integers,
       .doc = "Seed of weights, data and order. With several, every trial runs with each.",
       .min = 0,
       .max = kMostSeed},
      {.name = "threads", .type = KeyType::integer, .doc = "Threads; default: all processors.", .min = 1, .max = 4096},
      form("repeats", "repeats", "Paired rounds: every round runs every arm once; default 7."),
      {.name = "warmup",
       .type = KeyType::integer,
       .doc = "At most so many rounds are measured and discarded first; default 1, without turns 3.",
       .min = 0,
       .max = 100},
      {.name = "interleave",
       .type = KeyType::boolean,
       .doc = "Arms of a round take turns while their speed is measured, in slices of some 30 ms; default true."},
      form("limits", "limits", "What one trial may take."),
      form("launcher", "launcher", "Where trials run: local (the default), or the jobs of a cluster."),
      {.name = "on_error",
       .type = KeyType::choice,
       .doc = "Whether the run goes on after a trial that is not ok; default continue.",
       .choices = {"continue", "stop"}},
      {.name = "allow_nonfinite", .type = KeyType::boolean, .doc = "Take weights that hold NaN or Inf."},
      form("train", "train", "How every arm is trained before it is measured; default: it is measured as it is."),
      form("arms", "arms", "What is compared.", true),
      form("baseline", "baseline", "The arm that the others are compared with; default: the first."),
      form("compare_with", "compare_with",
           "Further arms that all arms are compared with; intervals hold for all at once."),
      form("workloads", "workloads", "What is measured of every arm; required where nothing is trained.")};
  return keys;
}

const KeyTable& repeats_keys() {
  static const KeyTable keys = {{.name = "min",
                                 .type = KeyType::integer,
                                 .doc = "Rounds at least.",
                                 .required = true,
                                 .min = 2,
                                 .max = kMaxRepeats},
                                {.name = "max",
                                 .type = KeyType::integer,
                                 .doc = "Rounds at most.",
                                 .required = true,
                                 .min = 2,
                                 .max = kMaxRepeats},
                                {.name = "until",
                                 .type = KeyType::share,
                                 .doc = "Stop once every interval of interest is this narrow.",
                                 .required = true}};
  return keys;
}

const KeyTable& limits_keys() {
  static const KeyTable keys = {
      {.name = "seconds",
       .type = KeyType::real,
       .doc = "A trial that takes longer is stopped: timed_out. Default: from the estimate, at least 600.",
       .min = 1,
       .max = 1e7},
      {.name = "memory", .type = KeyType::bytes, .doc = "A trial that takes more fails."}};
  return keys;
}

const KeyTable& constructed_model_keys() {
  static const KeyTable keys = {{.name = "constructed",
                                 .type = KeyType::choice,
                                 .doc = "recall: two layers set by hand that answer associative recall.",
                                 .required = true,
                                 .choices = {model::kConstructedRecall}}};
  return keys;
}

const KeyTable& arms_keys() {
  static const KeyTable keys = {
      form("grid", "grid", "The product of the lists; cells that cannot run are refused rows."),
      form("list", "arm_list", "Arms one by one; each must be able to run."),
      form("exclude", "exclude", "Cells of the grid that are like one of these are dropped.")};
  return keys;
}

const KeyTable& grid_keys() {
  static const KeyTable keys = {form("model", "model_axis", "Keys of the model YAML that arms have otherwise."),
                                form("attention", "attention_axis", "Attention variants."),
                                form("position", "position_axis", "Positional schemes."),
                                form("cache", "cache_axis", "Cache policies."),
                                form("weights", "weights_axis", "How the matrices of the model are held."),
                                form("compute", "compute_axis", "What products of many tokens multiply."),
                                {.name = "tags", .type = KeyType::texts, .doc = "Tags of all arms of the grid."}};
  return keys;
}

const KeyTable& arm_keys() {
  static const KeyTable keys = {
      {.name = "name", .doc = "Name of the arm; default: attention/position/cache in their shortest spelling."},
      {.name = "tags", .type = KeyType::texts, .doc = "Words by which --only finds the arm."},
      {.name = "threads",
       .type = KeyType::integer,
       .doc = "Threads of this arm; default: the experiment's, with which the roof is measured.",
       .min = 1,
       .max = 4096},
      kWeights,
      kCompute,
      form("train", "arm_train", "Keys of `train` that the arm has otherwise; none: it is not trained."),
      kModelChange,
      kAttention,
      kPosition,
      kCache};
  return keys;
}

const KeyTable& pattern_keys() {
  static const KeyTable keys = {kModelChange, kAttention, kPosition, kCache, kWeights, kCompute};
  return keys;
}

}  // namespace attnlab::experiment
