#include "study/spec.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include <attnlab/error.h>
#include <fmt/format.h>

#include "config/include.h"
#include "config/map_reader.h"
#include "config/named_path.h"
#include "config/scalars.h"
#include "config/set_override.h"
#include "study/merged_train.h"
#include "study/spec_keys.h"
#include "training/read_train.h"

namespace attnlab::experiment {
namespace {

using config::MapReader;
using config::Node;
using config::ProblemList;

constexpr const char* kSection = "the experiment";

void read_model(const Node& node, const std::filesystem::path& folder, SpecDocument& document) {
  document.model.where = node.mark();
  if (node.is_map()) {
    MapReader reader(node, "model", constructed_model_keys(), document.problems);
    document.constructed = reader.choice("constructed").value_or("");
    reader.finish();
  } else {
    std::vector<std::filesystem::path> missing;
    document.model.path =
        config::read_first_path(node, "model", folder, config::PathKind::any, document.problems, &missing).value_or("");
    for (const std::filesystem::path& path : missing)
      document.warnings.push_back(
          fmt::format("the model {} is not there; {} is used", path.string(), document.model.path.string()));
  }
}

std::vector<NamedPath> read_plugins(const Node& node, const std::filesystem::path& folder, ProblemList& problems) {
  std::vector<NamedPath> plugins;
  const std::vector<Node> single = {node};
  for (const Node& item : node.is_sequence() ? node.items() : single)
    if (auto path = config::read_path(item, "plugins", folder, config::PathKind::any, problems))
      plugins.push_back({*std::move(path), item.mark()});
  return plugins;
}

// The name is that of a folder below results/.
std::string read_name(MapReader& reader, ProblemList& problems) {
  constexpr std::size_t kMaxLength = 200;
  const auto name = reader.text("name");
  if (!name) return {};
  const bool safe = std::ranges::none_of(*name, [](unsigned char c) { return c < 0x20 || c == '/'; });
  if (!safe || name->empty() || *name == "." || *name == ".." || name->size() > kMaxLength)
    problems.add(reader.find("name")->mark(), fmt::format("name: {} is no name of a folder", config::in_quotes(*name)),
                 "use letters, digits, - and _");
  return *name;
}

std::vector<std::int64_t> read_seeds(MapReader& reader, ProblemList& problems) {
  auto seeds = reader.integers("seed");
  if (!seeds) return {1};
  const std::set<std::int64_t> different(seeds->begin(), seeds->end());
  if (different.size() != seeds->size())
    problems.add(reader.find("seed")->mark(), "seed: a seed is there twice", "give each once");
  return *std::move(seeds);
}

Repeats read_repeats(const Node& node, ProblemList& problems) {
  Repeats repeats;
  if (!node.is_map()) {
    const auto count = config::as_integer(node, "repeats", problems, 1, kMaxRepeats);
    if (count) repeats.min = repeats.max = static_cast<int>(*count);
    return repeats;
  }
  MapReader reader(node, "repeats", repeats_keys(), problems);
  const auto least = reader.count("min");
  const auto most = reader.count("max");
  repeats.until = reader.share("until").value_or(0);
  reader.finish();
  if (least && most && *most < *least)
    problems.add(node.mark(), fmt::format("repeats: max {} is less than min {}", *most, *least));
  repeats.min = least.value_or(repeats.min);
  repeats.max = most.value_or(repeats.max);
  return repeats;
}

Limits read_limits(const Node& node, ProblemList& problems) {
  Limits limits;
  MapReader reader(node, "limits", limits_keys(), problems);
  limits.seconds = reader.real("seconds").value_or(0);
  limits.memory = reader.bytes("memory").value_or(0);
  reader.finish();
  return limits;
}

std::optional<SlurmChoice> read_launcher(const Node& node, ProblemList& problems) {
  if (node.is_scalar() && node.text() == "local") return std::nullopt;
  if (node.is_scalar() && node.text() == "slurm") return SlurmChoice{};
  if (!node.is_map()) {
    problems.add(node.mark(),
                 fmt::format("launcher: expected local or {{slurm: ...}}, got {}", config::describe(node)));
    return std::nullopt;
  }
  MapReader reader(node, "launcher", launcher_keys(), problems);
  std::optional<SlurmChoice> choice;
  if (const Node* slurm = reader.find("slurm")) choice = read_slurm(*slurm, problems);
  reader.finish();
  return choice;
}

// The first arm that is like the pattern. A plain text is an arm's name.
std::optional<std::size_t> find_arm(const Node& node, const std::string& key, const std::vector<Arm>& arms,
                                    const ComponentLookup& lookup, ProblemList& problems) {
  std::optional<ArmPattern> pattern;
  if (node.is_scalar())
    pattern = ArmPattern{.name = node.text()};
  else
    pattern = read_pattern(node, key, lookup, problems);
  if (!pattern || !problems.empty()) return std::nullopt;
  const auto found = std::ranges::find_if(arms, [&](const Arm& arm) { return pattern->matches(arm); });
  if (found != arms.end()) return static_cast<std::size_t>(found - arms.begin());
  std::vector<std::string> names;
  for (const Arm& arm : arms) names.push_back(arm.name);
  problems.add(node.mark(), key + ": no arm is like this", config::name_remedy(node.text(), names, "arms"));
  return std::nullopt;
}

// All are looked for, so that every wrong one is told. What is the baseline or there already is no further comparison.
std::vector<std::size_t> find_compared(const Node& node, const ExperimentSpec& spec, const ComponentLookup& lookup,
                                       ProblemList& problems) {
  std::vector<std::size_t> found;
  const std::vector<Node> single = {node};
  for (const Node& item : node.is_sequence() ? node.items() : single) {
    ProblemList of_item;
    const auto arm = find_arm(item, "compare_with", spec.arms, lookup, of_item);
    problems.add(of_item);
    if (!arm) continue;
    const std::string& name = spec.arms[*arm].name;
    if (*arm == spec.baseline)
      problems.add(item.mark(), fmt::format("compare_with: {} is the baseline", config::in_quotes(name)),
                   "all arms are compared with it anyway: leave it out");
    else if (std::ranges::find(found, *arm) != found.end())
      problems.add(item.mark(), fmt::format("compare_with: {} is there twice", config::in_quotes(name)),
                   "name it once");
    else
      found.push_back(*arm);
  }
  return found;
}

// What is wrong with the experiment's `train:`, and with those of arms beyond it.
void check_trains(const ExperimentSpec& spec, ProblemList& problems) {
  const std::size_t before = problems.size();
  if (!spec.train.is_null()) (void)training::read_train(spec.train, problems);
  const bool is_sound = problems.size() == before;
  for (const Arm& arm : spec.arms) {
    if (!arm.train.is_map()) continue;
    if (spec.train.is_null())
      problems.add(arm.train.mark(), "train: the experiment has none, of which an arm could have keys otherwise",
                   "write train: at the top of the experiment");
    else if (is_sound)
      (void)training::read_train(merged_train(spec.train, arm.train), problems);
  }
}

}  // namespace

std::vector<std::filesystem::path> SpecDocument::plugin_paths() const {
  std::vector<std::filesystem::path> paths;
  std::ranges::transform(plugins, std::back_inserter(paths), &NamedPath::path);
  return paths;
}

std::string ExperimentSpec::keep_only(const std::string& glob) {
  std::vector<std::size_t> selected = select_arms(arms, glob);
  if (selected.empty()) {
    throw Error("--only " + glob, "no arm has such a name or tag",
                fmt::format("it is a glob over the whole name or a tag, such as '*/{}'; {}", kPlainCache,
                            nearest_arms(arms, glob)));
  }
  // What the experiment compares with stays in, as what was asked.
  for (const std::size_t other : compare_with)
    if (const auto at = std::ranges::lower_bound(selected, other); at == selected.end() || *at != other)
      selected.insert(at, other);
  std::string told;
  const auto at = std::ranges::lower_bound(selected, baseline);
  if (at == selected.end() || *at != baseline) {
    if (declares_baseline) {
      told = fmt::format("--only {}: the baseline {} runs too, since the others are compared with it", glob,
                         arms[baseline].name);
      selected.insert(at, baseline);
    } else if (selected.size() > 1) {
      told = fmt::format(
          "--only {}: the experiment names no baseline, so the others are compared with {}, the first arm that is left",
          glob, arms[selected.front()].name);
    }
  }
  for (std::size_t& other : compare_with)
    other = static_cast<std::size_t>(std::ranges::lower_bound(selected, other) - selected.begin());
  std::vector<Arm> kept;
  std::size_t kept_baseline = 0;
  for (const std::size_t index : selected) {
    if (index == baseline) kept_baseline = kept.size();
    kept.push_back(std::move(arms[index]));
  }
  arms = std::move(kept);
  baseline = kept_baseline;
  std::erase(compare_with, baseline);
  return told;
}

void ExperimentSpec::keep_named(const std::vector<std::string>& names) {
  const std::set<std::string> wanted(names.begin(), names.end());
  const std::string with = arms[baseline].name;
  std::vector<std::string> compared;
  for (const std::size_t other : compare_with) compared.push_back(arms[other].name);
  std::erase_if(arms, [&](const Arm& arm) { return arm.name != with && !wanted.contains(arm.name); });
  const auto index_of = [&](const std::string& name) {
    return static_cast<std::size_t>(std::ranges::find(arms, name, &Arm::name) - arms.begin());
  };
  for (const std::string& name : names)
    if (index_of(name) == arms.size()) throw Error(file.string(), fmt::format("no arm is called \"{}\"", name));
  baseline = index_of(with);
  compare_with.clear();
  for (const std::string& name : compared)
    if (index_of(name) < arms.size()) compare_with.push_back(index_of(name));
}

SpecDocument open_spec(const std::filesystem::path& file, const std::vector<std::string>& overrides,
                       config::FileTexts* texts) {
  SpecDocument document;
  document.file = file;
  document.root = config::parse_with_includes(file, texts);
  if (!document.root.is_map()) {
    throw Error(document.root.mark().text(),
                fmt::format("{}: expected a map, got {}", kSection, config::describe(document.root)),
                "begin with \"name: ...\"");
  }
  for (const std::string& text : overrides) document.root = config::with_override(document.root, text);
  if (const Node* include = document.root.find("include"))
    document.problems.add(include->mark(), "include: files are included before values are set", "write it in the file");
  const std::filesystem::path folder = file.parent_path();
  if (const Node* model = document.root.find("model")) read_model(*model, folder, document);
  if (const Node* plugins = document.root.find("plugins"))
    document.plugins = read_plugins(*plugins, folder, document.problems);
  return document;
}

ExperimentSpec read_spec(const SpecDocument& document, const ComponentLookup& lookup, const ArmDefaults& defaults) {
  ProblemList problems = document.problems;
  ExperimentSpec spec;
  spec.file = document.file;
  spec.model = document.model;
  spec.constructed = document.constructed;
  spec.plugins = document.plugins;
  MapReader reader(document.root, kSection, experiment_keys(), problems);
  spec.name = read_name(reader, problems);
  spec.question = reader.text("question").value_or("");
  spec.seeds = read_seeds(reader, problems);
  spec.seed = spec.seeds.front();
  spec.threads = reader.count("threads").value_or(spec.threads);
  if (const Node* repeats = reader.find("repeats")) spec.repeats = read_repeats(*repeats, problems);
  spec.interleave = reader.boolean("interleave").value_or(spec.interleave);
  spec.warmup = reader.count("warmup").value_or(spec.interleave ? 1 : 3);
  if (const Node* limits = reader.find("limits")) spec.limits = read_limits(*limits, problems);
  if (const Node* launcher = reader.find("launcher")) spec.slurm = read_launcher(*launcher, problems);
  spec.stops_on_error = reader.choice("on_error") == "stop";
  spec.allow_nonfinite = reader.boolean("allow_nonfinite").value_or(false);

  ProblemList of_arms;
  const Node* arms = reader.find("arms");
  if (arms != nullptr) spec.arms = read_arms(*arms, lookup, defaults, of_arms);
  if (const Node* baseline = reader.find("baseline"); baseline != nullptr && arms != nullptr) {
    spec.declares_baseline = true;
    spec.baseline = find_arm(*baseline, "baseline", spec.arms, lookup, of_arms).value_or(0);
  }
  if (const Node* others = reader.find("compare_with"); others != nullptr && of_arms.empty() && arms != nullptr)
    spec.compare_with = find_compared(*others, spec, lookup, of_arms);
  problems.add(of_arms);
  if (const Node* train = reader.find("train")) {
    spec.train = *train;
    if (train->is_null()) problems.add(train->mark(), "train: is empty", "give its keys, or leave it out");
  }
  check_trains(spec, problems);
  const Node* workloads = spec.train.is_null() ? reader.require("workloads") : reader.find("workloads");
  if (workloads != nullptr) spec.workloads = read_workloads(*workloads, document.file.parent_path(), problems);
  reader.finish();
  problems.throw_if_any();
  return spec;
}

}  // namespace attnlab::experiment
