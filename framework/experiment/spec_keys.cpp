#include "experiment/spec_keys.h"

#include <limits>

#include "config/ranges.h"
#include "core/storage.h"

namespace attnlab::experiment {
namespace {

using config::Key;
using config::KeyTable;
using config::KeyType;

constexpr double kMostSeed = 0x1p63;
constexpr double kMostCount = std::numeric_limits<int>::max();
constexpr double kMostRows = 1 << 30;

Key count(std::string_view name, std::string_view doc, bool required = false, double min = 1) {
  return {.name = name, .type = KeyType::integer, .doc = doc, .required = required, .min = min, .max = kMostCount};
}

Key form(std::string_view name, std::string_view definition, std::string_view doc, bool required = false) {
  return {.name = name, .type = KeyType::form, .doc = doc, .required = required, .form = definition};
}

Key seed(std::string_view doc) {
  return {.name = "seed", .type = KeyType::integer, .doc = doc, .min = 0, .max = kMostSeed};
}

const Key kAttention = form("attention", "attention", "Attention variant; default: the model's own.");
const Key kPosition = form("position", "position", "Positional scheme; default: rope as the model has it.");
const Key kCache = form("cache", "cache", "Cache policy, with its storage; default: full.");

}  // namespace

const KeyTable& experiment_keys() {
  static const KeyTable keys = {
      {.name = "name", .doc = "Name of the study and of its folder below results/.", .required = true},
      {.name = "question", .doc = "What the study asks; the report begins with it."},
      form("include", "include", "YAML files whose keys hold where this file does not say otherwise."),
      form("model", "model", "A checkpoint folder, a model YAML, or a model that code makes.", true),
      {.name = "plugins", .type = KeyType::paths, .doc = "Plugin files or folders beside those of the build."},
      {.name = "seed",
       .type = KeyType::integers,
       .doc = "Of weights, data and order. Several: every trial runs with each.",
       .min = 0,
       .max = kMostSeed},
      {.name = "threads", .type = KeyType::integer, .doc = "Threads; default: all processors.", .min = 1, .max = 4096},
      form("repeats", "repeats", "Paired rounds: every round runs every arm once; default 7."),
      {.name = "warmup",
       .type = KeyType::integer,
       .doc = "At most so many rounds are measured and discarded first; default 3.",
       .min = 0,
       .max = 100},
      form("limits", "limits", "What one trial may take."),
      {.name = "on_error",
       .type = KeyType::choice,
       .doc = "Whether the run goes on behind a trial that is not ok; default continue.",
       .choices = {"continue", "stop"}},
      {.name = "allow_nonfinite", .type = KeyType::boolean, .doc = "Take weights that hold NaN or Inf."},
      form("arms", "arms", "What is compared.", true),
      form("baseline", "baseline", "The arm that the others are held against; default: the first."),
      form("compare_with", "compare_with", "Further arms that all are held against; intervals hold for all at once."),
      form("workloads", "workloads", "What is measured of every arm.", true)};
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
                                 .choices = {"recall"}}};
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
  static const KeyTable keys = {form("attention", "attention_axis", "Attention variants."),
                                form("position", "position_axis", "Positional schemes."),
                                form("cache", "cache_axis", "Cache policies."),
                                {.name = "tags", .type = KeyType::texts, .doc = "Tags of all arms of the grid."}};
  return keys;
}

const KeyTable& arm_keys() {
  static const KeyTable keys = {
      {.name = "name", .doc = "Name of the arm; default: attention/position/cache in their shortest spelling."},
      {.name = "tags", .type = KeyType::texts, .doc = "Words that --only finds the arm by."},
      {.name = "threads",
       .type = KeyType::integer,
       .doc = "Threads of this arm; default: the experiment's, whose roof shares are held against.",
       .min = 1,
       .max = 4096},
      kAttention,
      kPosition,
      kCache};
  return keys;
}

const KeyTable& pattern_keys() {
  static const KeyTable keys = {kAttention, kPosition, kCache};
  return keys;
}

const KeyTable& common_cache_keys() {
  static const KeyTable keys = {
      form("storage", "storage", "How rows are held; default f32."),
      {.name = "keys",
       .type = KeyType::choice,
       .doc = "Whether keys are stored with their rotation; auto: unrotated where the scheme depends on the length.",
       .choices = {"auto", "rotated", "unrotated"}}};
  return keys;
}

const KeyTable& storage_keys() {
  static const KeyTable keys = {form("k", "element", "Storage of keys; default f32."),
                                form("v", "element", "Storage of values; default f32."),
                                {.name = "page",
                                 .type = KeyType::integer,
                                 .doc = "Rows of a page; without it rows are not paged.",
                                 .min = 1,
                                 .max = 65'536}};
  return keys;
}

const KeyTable& kivi_keys() {
  static const KeyTable keys = {
      {.name = "bits", .type = KeyType::choice, .doc = "Bits of a code; default 2.", .choices = {"2", "4"}},
      {.name = "group",
       .type = KeyType::integer,
       .doc = "Rows or components that share a scale; default 32.",
       .min = 1,
       .max = 65'536},
      {.name = "residual",
       .type = KeyType::integer,
       .doc = "Newest rows that are kept exactly; default 128.",
       .min = 0,
       .max = kMostRows}};
  return keys;
}

const std::vector<StorageKeys>& storage_kinds() {
  static const std::vector<StorageKeys> kinds = {
      {"f32", "Rows as they are: 4 bytes a component.", {}},
      {"bf16", "Components rounded to bfloat16: 2 bytes each.", {}},
      {"int8", "8-bit codes with a scale for each vector: 1 byte a component.", {}},
      {"int4", "4-bit codes with a scale and a minimum for every 32 components.", {}},
      {"kivi",
       "Keys as codes by component over groups of rows, values by row; the newest rows exact (arXiv:2402.02750).",
       kivi_keys()}};
  return kinds;
}

const std::vector<WorkloadKeys>& workload_keys() {
  static const std::vector<WorkloadKeys> workloads = {
      {"speed",
       "Prefill and decode speed, latencies and bytes.",
       {form("batch", "batches", "Batches as <count>q<new tokens>[k][s<total length>[k]], joined by _: 8q1s1k."),
        {.name = "prompt", .type = KeyType::integers, .doc = "Tokens of the prompt.", .min = 1, .max = kMostCount},
        {.name = "generate",
         .type = KeyType::integers,
         .doc = "Tokens behind it, one at a time.",
         .min = 1,
         .max = kMostCount},
        {.name = "sequences",
         .type = KeyType::integers,
         .doc = "Sequences at once; default 1.",
         .min = 1,
         .max = kMostCount}}},
      {"perplexity",
       "Negative log-likelihood of a text, through the arm's own cache.",
       {{.name = "text",
         .type = KeyType::paths,
         .doc = "A text file; of several the first that is there.",
         .required = true},
        count("context", "Tokens of a window, BOS included.", true, 2),
        form("prefill", "prefill",
             "Of these, the prompt; the rest is fed one at a time and alone is scored. To be written where a cache may "
             "drop or round rows; otherwise, by default, the whole window is the prompt and is scored."),
        count("max_windows", "Windows at most; default: all of the text.")}},
      {"generate",
       "A continuation of a prompt.",
       {{.name = "prompt", .doc = "The prompt.", .required = true},
        count("tokens", "Tokens to generate.", true),
        {.name = "temperature", .type = KeyType::real, .doc = "0, the default, is greedy.", .min = 0},
        count("top_k", "Only the likeliest so many; default 0: all.", false, 0),
        {.name = "top_p",
         .type = KeyType::real,
         .doc = "Only the likeliest that make up this share; default 1: all.",
         .min = 0,
         .max = 1,
         .nonzero = true},
        seed("Of the sampling; default: the experiment's.")}},
      {"recall",
       "Multi-query associative recall: what a policy forgot.",
       {count("length", "Tokens of an example.", true), count("pairs", "Pairs of a key and a value.", true),
        form("prefill", "prefill",
             "Tokens of the prompt; only queries after it are scored. Default: the pairs, after which all queries "
             "come."),
        count("examples", "Examples.", true), count("vocab", "Tokens that examples are made of; default 8192."),
        seed("Of the examples; default: the experiment's.")}}};
  return workloads;
}

const KeyTable& batch_range_keys() {
  static const KeyTable keys = [] {
    KeyTable table = config::range_keys();
    for (Key& key : table)
      if (key.name == "range") key.form = "batch_range_ends";
    table.insert(table.begin(),
                 form("each", "batch_pattern", "A batch with * where the value of the range goes.", true));
    return table;
  }();
  return keys;
}

}  // namespace attnlab::experiment
