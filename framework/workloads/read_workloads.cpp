// The list under `workloads:`, entry by entry.
#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "config/map_reader.h"
#include "config/plugin_choice.h"
#include "config/ranges.h"
#include "config/scalars.h"
#include "workloads/workload.h"

namespace attnlab::experiment {
namespace {

using config::MapReader;
using config::Node;
using config::ProblemList;

// A range among the keys of a workload makes several of it, unless it is one that reads lists.
std::vector<Node> with_ranges_written_out(const std::vector<Node>& items, ProblemList& problems) {
  const std::vector<const WorkloadKind*> kinds = workload_kinds();
  std::vector<Node> all;
  for (const Node& item : items) {
    if (std::ranges::any_of(
            kinds, [&](const WorkloadKind* kind) { return kind->reads_ranges && item.find(kind->name) != nullptr; }))
      all.push_back(item);
    else
      std::ranges::move(config::expand_ranges(item, problems), std::back_inserter(all));
  }
  return all;
}

const WorkloadKind* find_kind(const config::PluginChoice& choice, ProblemList& problems) {
  std::vector<std::string> names;
  for (const WorkloadKind* kind : workload_kinds()) {
    if (kind->name == choice.id) return kind;
    names.emplace_back(kind->name);
  }
  problems.add(choice.where, fmt::format("unknown workload {}", config::in_quotes(choice.id)),
               config::name_remedy(choice.id, names, "workloads"));
  return nullptr;
}

// Labels of a kind so far: how often, and where the last was written.
class Labels {
 public:
  explicit Labels(ProblemList& problems) : problems_(problems) {}

  // Two texts may share a stem, and two prompts a length; what was made of them is numbered, what was written is not.
  void make_unique(const WorkloadKind& kind, const config::Mark& where, std::vector<std::string>& labels) {
    for (std::string& label : labels) {
      Use& use = uses_[{&kind, label}];
      if (use.count == 0) use.where = where;
      ++use.count;
      if (use.count == 1) continue;
      if (kind.has_written_labels)
        problems_.add(where, fmt::format("{}: the case \"{}\" is also in the workload at {}", kind.name, label,
                                         use.where.text()));
      else
        label += fmt::format("_{}", use.count);
    }
  }

 private:
  struct Use {
    int count = 0;
    config::Mark where = {};
  };
  ProblemList& problems_;
  std::map<std::pair<const WorkloadKind*, std::string>, Use> uses_;
};

}  // namespace

std::vector<ChosenWorkload> read_workloads(const Node& node, const std::filesystem::path& folder,
                                           ProblemList& problems) {
  if (!node.is_sequence() || node.items().empty()) {
    problems.add(
        node.mark(),
        fmt::format("workloads: expected a list, got {}", node.is_sequence() ? "an empty one" : config::describe(node)),
        "write \"- speed: {batch: [q512]}\"");
    return {};
  }
  std::vector<ChosenWorkload> workloads;
  Labels labels(problems);
  for (const Node& item : with_ranges_written_out(node.items(), problems)) {
    const auto choice = config::read_choice(item, "workload", problems);
    if (!choice) continue;
    const WorkloadKind* kind = find_kind(*choice, problems);
    if (kind == nullptr) continue;
    MapReader reader(choice->options, choice->id, kind->keys, problems);
    ReadWorkload read = kind->read(reader, {choice->options, choice->where, folder, problems});
    reader.finish();
    labels.make_unique(*kind, choice->where, read.labels);
    workloads.push_back({kind, std::move(read.labels), std::move(read.workload)});
  }
  return workloads;
}

}  // namespace attnlab::experiment
