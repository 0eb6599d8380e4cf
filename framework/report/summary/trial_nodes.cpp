#include "report/summary/trial_nodes.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <tuple>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "report/read/format.h"
#include "report/read/metrics.h"

namespace attnlab::report {
namespace {

struct Node {
  std::string name, kind, together;
};

std::optional<Node> node_of(const TrialResult& trial) {
  const auto found = trial.details.find("node");
  if (found == trial.details.end() || !found->is_object()) return std::nullopt;
  const auto text = [&](const char* key) {
    const auto value = found->find(key);
    return value != found->end() && value->is_string() ? value->get<std::string>() : std::string();
  };
  return Node{text("name"), text("kind"), text("together")};
}

// That of a round, with its machine: nothing for what was measured once.
std::optional<Node> round_node_of(const TrialResult& trial) {
  std::optional<Node> node = node_of(trial);
  return node && !node->together.empty() ? node : std::nullopt;
}

// The name that the most belong to; of several the first by the alphabet.
template <class Members>
std::string most_of(const std::map<std::string, Members>& by_name) {
  const auto most =
      std::ranges::max_element(by_name, [](const auto& a, const auto& b) { return a.second.size() < b.second.size(); });
  return most == by_name.end() ? std::string() : most->first;
}

void leave_out_other_runs(std::vector<TrialResult>& trials, std::vector<std::string>& said) {
  using Round = std::pair<std::int64_t, int>;
  std::map<Round, std::map<std::string, std::vector<const TrialResult*>>> runs;
  for (const TrialResult& trial : trials)
    if (const auto node = round_node_of(trial)) runs[{trial.seed, trial.round}][node->together].push_back(&trial);
  std::map<int, std::set<std::string>> kept;  // by round: seeds of a round run in one job
  for (const auto& [round, by_run] : runs) kept[round.second].insert(most_of(by_run));
  const std::size_t left = std::erase_if(trials, [&](const TrialResult& trial) {
    const auto node = round_node_of(trial);
    return node && !kept[trial.round].contains(node->together);
  });
  if (left > 0)
    said.push_back(fmt::format(
        "{} trials are left out: they were not measured in the same job as the others of their round", left));
}

void leave_out_other_kinds(std::vector<TrialResult>& trials, std::vector<std::string>& said) {
  std::map<std::string, std::set<int>> rounds;         // by kind
  std::map<std::string, std::set<std::string>> names;  // by kind
  for (const TrialResult& trial : trials)
    if (const auto node = round_node_of(trial)) {
      rounds[node->kind].insert(trial.round);
      names[node->kind].insert(node->name);
    }
  if (rounds.size() < 2) return;
  const std::string kept = most_of(rounds);
  std::erase_if(trials, [&](const TrialResult& trial) {
    const auto node = round_node_of(trial);
    return node && node->kind != kept;
  });
  for (const auto& [kind, of_kind] : rounds)
    if (kind != kept)
      said.push_back(fmt::format(
          "{} round{} on {} {} left out: another CPU ({}) than that of the {} rounds that count ({}); `constraint` of "
          "launcher: {{slurm: ...}} asks for one kind",
          of_kind.size(), of_kind.size() == 1 ? "" : "s", fmt::join(names.at(kind), ", "),
          of_kind.size() == 1 ? "is" : "are", one_line(kind), rounds.at(kept).size(), one_line(kept)));
}

void leave_out_speeds_of_trainings(std::vector<TrialResult>& trials, std::vector<std::string>& said) {
  std::set<std::string> kinds;
  for (const TrialResult& trial : trials)
    if (const auto node = node_of(trial); node && trial.workload == kTrain) kinds.insert(node->kind);
  if (kinds.size() < 2) return;
  const std::set<std::string_view> speeds = {kTrainTokensPerSecond, kTrainSeconds, kOperationsPerSecond};
  for (TrialResult& trial : trials)
    if (trial.workload == kTrain)
      std::erase_if(trial.samples, [&](const Sample& sample) { return speeds.contains(sample.metric); });
  said.push_back(fmt::format("trainings ran on {} kinds of CPU: their speeds are left out", kinds.size()));
}

}  // namespace

std::vector<std::string> leave_out_other_nodes(std::vector<TrialResult>& trials) {
  std::vector<std::string> said;
  leave_out_other_runs(trials, said);
  leave_out_other_kinds(trials, said);
  leave_out_speeds_of_trainings(trials, said);
  return said;
}

}  // namespace attnlab::report
