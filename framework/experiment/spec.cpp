#include "experiment/spec.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include <attnlab/error.h>
#include <fmt/format.h>

#include "config/map_reader.h"
#include "config/quantities.h"
#include "config/scalars.h"
#include "config/set_override.h"
#include "experiment/spec_paths.h"

namespace attnlab::experiment {
namespace {

using config::MapReader;
using config::Node;
using config::ProblemList;

constexpr const char* kSection = "the experiment";

void read_model(const Node& node, const std::filesystem::path& folder, SpecDocument& document) {
  document.model.where = node.mark();
  if (node.is_map()) {
    MapReader reader(node, "model", document.problems);
    if (const Node* constructed = reader.require("constructed"))
      document.constructed =
          config::as_choice(*constructed, "constructed", {"recall"}, document.problems).value_or("");
    reader.finish();
  } else {
    document.model.path = read_path(node, "model", folder, PathKind::any, document.problems).value_or("");
  }
}

std::vector<NamedPath> read_plugins(const Node& node, const std::filesystem::path& folder, ProblemList& problems) {
  if (!node.is_sequence()) {
    problems.add(node.mark(), fmt::format("plugins: expected a list of paths, got {}", config::describe(node)));
    return {};
  }
  std::vector<NamedPath> plugins;
  for (const Node& item : node.items())
    if (auto path = read_path(item, "plugins", folder, PathKind::any, problems))
      plugins.push_back({*std::move(path), item.mark()});
  return plugins;
}

// The name is that of a folder below results/.
std::string read_name(const Node& node, ProblemList& problems) {
  constexpr std::size_t kMaxLength = 200;
  const auto name = config::as_text(node, "name", problems);
  if (!name) return {};
  const bool safe = std::ranges::none_of(*name, [](unsigned char c) { return c < 0x20 || c == '/'; });
  if (!safe || name->empty() || *name == "." || *name == ".." || name->size() > kMaxLength)
    problems.add(node.mark(), fmt::format("name: {} is no name of a folder", config::in_quotes(*name)),
                 "use letters, digits, - and _");
  return *name;
}

std::vector<std::int64_t> read_seeds(const Node& node, ProblemList& problems) {
  auto seeds = config::as_integers(node, "seed", problems, 0, config::kMaxInteger);
  if (!seeds) return {1};
  const std::set<std::int64_t> different(seeds->begin(), seeds->end());
  if (different.size() != seeds->size()) problems.add(node.mark(), "seed: a seed is there twice", "give each once");
  return *std::move(seeds);
}

Repeats read_repeats(const Node& node, ProblemList& problems) {
  constexpr std::int64_t kMaxRepeats = 10'000;
  Repeats repeats;
  if (!node.is_map()) {
    const auto count = config::as_integer(node, "repeats", problems, 1, kMaxRepeats);
    if (count) repeats.min = repeats.max = static_cast<int>(*count);
    return repeats;
  }
  MapReader reader(node, "repeats", problems);
  const auto count = [&](const char* key) {
    const Node* written = reader.require(key);
    return written == nullptr ? std::nullopt : config::as_integer(*written, key, problems, 2, kMaxRepeats);
  };
  const auto least = count("min");
  const auto most = count("max");
  if (const Node* until = reader.require("until"))
    repeats.until = config::as_share(*until, "until", problems).value_or(0);
  reader.finish();
  if (least && most && *most < *least)
    problems.add(node.mark(), fmt::format("repeats: max {} is less than min {}", *most, *least));
  repeats.min = static_cast<int>(least.value_or(repeats.min));
  repeats.max = static_cast<int>(most.value_or(repeats.max));
  return repeats;
}

Limits read_limits(const Node& node, ProblemList& problems) {
  constexpr double kMaxSeconds = 1e7;
  Limits limits;
  MapReader reader(node, "limits", problems);
  if (const Node* seconds = reader.take("seconds"))
    limits.seconds = config::as_real(*seconds, "seconds", problems, 1, kMaxSeconds).value_or(0);
  if (const Node* memory = reader.take("memory"))
    limits.memory = config::as_bytes(*memory, "memory", problems).value_or(0);
  reader.finish();
  return limits;
}

// The first arm that is like the pattern. A plain text is an arm's name.
std::size_t find_baseline(const Node& node, const std::vector<Arm>& arms, const ComponentLookup& lookup,
                          ProblemList& problems) {
  std::optional<ArmPattern> pattern;
  if (node.is_scalar())
    pattern = ArmPattern{.name = node.text()};
  else
    pattern = read_pattern(node, "baseline", lookup, problems);
  if (!pattern || !problems.empty()) return 0;
  const auto found = std::ranges::find_if(arms, [&](const Arm& arm) { return pattern->matches(arm); });
  if (found != arms.end()) return static_cast<std::size_t>(found - arms.begin());
  std::vector<std::string> names;
  for (const Arm& arm : arms) names.push_back(arm.name);
  problems.add(node.mark(), "baseline: no arm is like this", config::name_remedy(node.text(), names, "arms"));
  return 0;
}

}  // namespace

std::vector<std::filesystem::path> SpecDocument::plugin_paths() const {
  std::vector<std::filesystem::path> paths;
  std::ranges::transform(plugins, std::back_inserter(paths), &NamedPath::path);
  return paths;
}

void ExperimentSpec::keep_only(const std::string& glob) {
  const std::vector<std::size_t> selected = select_arms(arms, glob);
  if (selected.empty()) {
    std::vector<std::string> names;
    for (const Arm& arm : arms) names.push_back(arm.name);
    throw Error("--only " + glob, "no arm has such a name or tag", config::name_remedy(glob, names, "arms"));
  }
  std::vector<Arm> kept;
  std::size_t kept_baseline = 0;
  for (const std::size_t index : selected) {
    if (index == baseline) kept_baseline = kept.size();
    kept.push_back(std::move(arms[index]));
  }
  arms = std::move(kept);
  baseline = kept_baseline;
}

SpecDocument open_spec(const std::filesystem::path& file, const std::vector<std::string>& overrides) {
  SpecDocument document;
  document.file = file;
  document.root = config::parse_file(file);
  if (!document.root.is_map()) {
    throw Error(document.root.mark().text(),
                fmt::format("{}: expected a map, got {}", kSection, config::describe(document.root)),
                "begin with \"name: ...\"");
  }
  for (const std::string& text : overrides) document.root = config::with_override(document.root, text);
  const std::filesystem::path folder = file.parent_path();
  if (const Node* model = document.root.find("model")) read_model(*model, folder, document);
  if (const Node* plugins = document.root.find("plugins"))
    document.plugins = read_plugins(*plugins, folder, document.problems);
  return document;
}

ExperimentSpec read_spec(const SpecDocument& document, const ComponentLookup& lookup, const ArmDefaults& defaults) {
  constexpr std::int64_t kMaxThreads = 4096;
  constexpr std::int64_t kMaxWarmup = 100;
  ProblemList problems = document.problems;
  ExperimentSpec spec;
  spec.file = document.file;
  spec.model = document.model;
  spec.constructed = document.constructed;
  spec.plugins = document.plugins;
  MapReader reader(document.root, kSection, problems);
  if (const Node* name = reader.require("name")) spec.name = read_name(*name, problems);
  if (const Node* question = reader.take("question"))
    spec.question = config::as_text(*question, "question", problems).value_or("");
  (void)reader.require("model");  // read by open_spec
  (void)reader.take("plugins");
  if (const Node* seed = reader.take("seed")) spec.seeds = read_seeds(*seed, problems);
  spec.seed = spec.seeds.front();
  if (const Node* threads = reader.take("threads"))
    spec.threads = static_cast<int>(config::as_integer(*threads, "threads", problems, 1, kMaxThreads).value_or(0));
  if (const Node* repeats = reader.take("repeats")) spec.repeats = read_repeats(*repeats, problems);
  if (const Node* warmup = reader.take("warmup"))
    spec.warmup = static_cast<int>(config::as_integer(*warmup, "warmup", problems, 0, kMaxWarmup).value_or(0));
  if (const Node* limits = reader.take("limits")) spec.limits = read_limits(*limits, problems);
  if (const Node* on_error = reader.take("on_error"))
    spec.stops_on_error = config::as_choice(*on_error, "on_error", {"continue", "stop"}, problems) == "stop";
  if (const Node* allow = reader.take("allow_nonfinite"))
    spec.allow_nonfinite = config::as_bool(*allow, "allow_nonfinite", problems).value_or(false);

  ProblemList of_arms;
  const Node* arms = reader.require("arms");
  if (arms != nullptr) spec.arms = read_arms(*arms, lookup, defaults, of_arms);
  if (const Node* baseline = reader.take("baseline"); baseline != nullptr && arms != nullptr)
    spec.baseline = find_baseline(*baseline, spec.arms, lookup, of_arms);
  problems.add(of_arms);
  if (const Node* workloads = reader.require("workloads"))
    spec.workloads = read_workloads(*workloads, document.file.parent_path(), problems);
  reader.finish();
  problems.throw_if_any();
  return spec;
}

}  // namespace attnlab::experiment
