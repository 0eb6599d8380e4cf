#include "cluster/nodes_of_study.h"

#include <utility>
#include <vector>

#include "cluster/nodes.h"
#include "cluster/round_folder.h"
#include "cluster/submission.h"

namespace attnlab::cluster {
namespace fs = std::filesystem;
namespace {

// Of each round its last.
std::vector<RoundFile> round_files(const fs::path& results, int submissions, int rounds) {
  std::map<int, RoundFile> found;
  for (int number = 0; number < submissions; ++number)
    for (int round = 0; round < rounds; ++round)
      if (auto file = read_round_file(submission_folder(results, number) / "rounds" / std::to_string(round)))
        found[round] = *std::move(file);
  std::vector<RoundFile> files;
  for (auto& [round, file] : found) files.push_back(std::move(file));
  return files;
}

}  // namespace

nlohmann::json environment_of(const experiment::Plan& plan, const fs::path& results,
                              const experiment::Environment& here,
                              const std::map<std::string, report::TrialResult>& trials, int submissions) {
  const std::map<std::string, nlohmann::json> nodes = read_nodes(results);
  std::map<std::string, std::size_t> trials_on, rounds_on;
  std::map<std::string, std::vector<int>> numbers;  // of the rounds, from 1 as reports count them
  for (const auto& [id, trial] : trials)
    if (const auto node = trial.details.find("node"); node != trial.details.end()) ++trials_on[node->value("name", "")];
  const std::vector<RoundFile> rounds = round_files(results, submissions, plan.spec.repeats.max);
  for (const RoundFile& round : rounds) {
    ++rounds_on[round.node];
    if (!round.records.empty()) numbers[round.node].push_back(round.records.front().round + 1);
  }
  std::string main;
  for (const auto& [name, machine] : nodes)
    if (main.empty() || std::pair(rounds_on[name], trials_on[name]) > std::pair(rounds_on[main], trials_on[main]))
      main = name;
  nlohmann::json json = main.empty() ? nlohmann::json(here) : nodes.at(main);
  const std::string kind = json.value("kind", "");
  json.erase("kind");
  experiment::Roof roof;
  std::vector<experiment::RoundRecord> records;
  experiment::WarmupRecord warmup{.most = plan.spec.warmup};
  for (const RoundFile& round : rounds) {
    records.insert(records.end(), round.records.begin(), round.records.end());
    const auto node = nodes.find(round.node);
    if (node == nodes.end() || node->second.value("kind", "") != kind) continue;
    for (const experiment::RoofProbe& probe : round.roof.probes) roof.include(probe);
    warmup = round.warmup;
  }
  json["roof"] = roof;
  json["rounds"] = records;
  json["warmup"] = warmup;
  json["nodes"] = nlohmann::json::array();
  for (const auto& [name, machine] : nodes)
    json["nodes"].push_back({{"name", name},
                             {"kind", machine.value("kind", "")},
                             {"rounds", rounds_on[name]},
                             {"round_numbers", numbers[name]},
                             {"trials", trials_on[name]}});
  return json;
}

}  // namespace attnlab::cluster
