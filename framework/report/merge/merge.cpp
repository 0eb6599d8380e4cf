#include "report/merge/merge.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <system_error>
#include <tuple>
#include <type_traits>

#include <attnlab/error.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/sha256.h"
#include "report/read/metrics.h"
#include "report/read/study_layout.h"
#include "report/read/text_file.h"
#include "report/read/trial_result.h"
#include "report/summary/comparable_inputs.h"

namespace attnlab::report {
namespace fs = std::filesystem;
namespace {

using nlohmann::json;

struct Part {
  fs::path folder;
  std::string name;  // of the folder, unlike that of the others
  json environment;
  StudyLayout layout;
  std::vector<TrialResult> trials;
};

Part read_part(const fs::path& folder) {
  Part part;
  part.folder = folder;
  fs::path named = folder;
  if (!named.has_filename()) named = named.parent_path();
  part.name = named.filename().string();
  const fs::path file = folder / "environment.json";
  std::error_code none;
  if (!fs::exists(file, none))
    throw Error(folder.string(), "has no environment.json", "name folders that `attnlab run` wrote");
  part.environment = read_json(file);
  try {
    part.layout = part.environment.at("study").get<StudyLayout>();
  } catch (const json::exception& error) {
    throw Error(file.string(), std::string("does not describe a study: ") + error.what());
  }
  part.trials = read_trials(folder / "trials");
  const std::set<std::string> planned(part.layout.trials.begin(), part.layout.trials.end());
  if (!planned.empty())
    std::erase_if(part.trials, [&](const TrialResult& trial) { return !planned.contains(trial.id); });
  return part;
}

// What keeps two folders from being one study.
void check(const Part& first, const Part& other, std::vector<Problem>& problems) {
  const auto wrong = [&](const std::string& what, const char* remedy = "") {
    problems.push_back({other.folder.string(), what, remedy});
  };
  if (first.layout.name != other.layout.name)
    wrong(fmt::format("is of study \"{}\", {} of \"{}\"", other.layout.name, first.folder.string(), first.layout.name));
  for (const std::string& difference : ComparableInputs(first.layout, other.layout).differences())
    problems.push_back(
        {fmt::format("{} (A) and {} (B)", first.folder.string(), other.folder.string()), difference, ""});
  if (first.layout.baseline != other.layout.baseline)
    wrong(fmt::format("its baseline is {}, that of {} is {}", other.layout.baseline, first.folder.string(),
                      first.layout.baseline));
  if (first.environment.value("threads", 0) != other.environment.value("threads", 0))
    wrong(fmt::format("ran with {} threads, {} with {}", other.environment.value("threads", 0), first.folder.string(),
                      first.environment.value("threads", 0)),
          "run both with the same --threads");
  for (const ArmLayout& arm : other.layout.arms) {
    const auto same = std::ranges::find(first.layout.arms, arm.name, &ArmLayout::name);
    if (same != first.layout.arms.end() && json(same->resolved) != json(arm.resolved))
      wrong(fmt::format("its arm {} has other options than that of {}", arm.name, first.folder.string()),
            "name it otherwise in one of the experiments");
  }
}

// Names of nodes, and which rounds belong together, where a folder does not say so itself.
void name_nodes(Part& part) {
  const std::string kind =
      fmt::format("{}, {}", part.environment.value("cpu", ""), part.environment.value("simd_target", ""));
  for (TrialResult& trial : part.trials)
    if (!trial.details.contains("node"))
      trial.details["node"] = {
          {"name", part.name}, {"kind", kind}, {"together", fmt::format("{} {}", part.name, trial.round)}};
}

template <class Item, class Key>
void add_missing(std::vector<Item>& to, const std::vector<Item>& from, const Key& key) {
  std::set<std::decay_t<decltype(key(from.front()))>> there;
  for (const Item& item : to) there.insert(key(item));
  for (const Item& item : from)
    if (there.insert(key(item)).second) to.push_back(item);
}

// The very same trial, in a copy of its folder.
bool is_the_same(const TrialResult& one, const TrialResult& other) {
  const auto details = [](const TrialResult& trial) {
    json all = trial.details;
    all.erase("node");
    return all;
  };
  return one.status == other.status && one.reason == other.reason && one.samples == other.samples &&
         details(one) == details(other);
}

bool says_the_same(const TrialResult& one, const TrialResult& other) {
  const auto exact = [](const TrialResult& trial) {
    std::map<std::string, double> values;
    for (const Sample& sample : trial.samples)
      if (sample.is_deterministic) values[sample.metric] = sample.value;
    return values;
  };
  const auto a = exact(one), b = exact(other);
  return a.size() == b.size() && std::ranges::all_of(a, [&](const auto& entry) {
           const auto found = b.find(entry.first);
           return found != b.end() &&
                  (found->second == entry.second || (std::isnan(found->second) && std::isnan(entry.second)));
         });
}

std::vector<int> counted_from_one(const std::set<int>& rounds) {
  std::vector<int> numbers;
  for (const int round : rounds) numbers.push_back(round + 1);
  return numbers;
}

class Merger {
 public:
  Merger(std::vector<Part> parts, const std::function<bool(const std::string&)>& is_once)
      : parts_(std::move(parts)), is_once_(is_once) {
    layout_ = parts_.front().layout;
    layout_.trials.clear();
    layout_.warnings.clear();
    layout_.stopped.clear();
    layout_.rounds = 0;
  }

  Merged merge(const fs::path& out) {
    for (Part& part : parts_) add(part);
    std::error_code failure;
    fs::create_directories(out / "trials", failure);
    if (failure) throw Error(out.string(), "the folder cannot be made: " + failure.message());
    for (const TrialResult& trial : trials_) write_trial(out / "trials", trial);
    for (const Part& part : parts_) copy_trainings(part, out);
    write_environment(out);
    return {.trials = trials_.size(), .twice = twice_, .warnings = layout_.warnings};
  }

 private:
  using Once = std::tuple<std::string, std::string, std::string, std::int64_t>;

  void add(Part& part) {
    name_nodes(part);
    StudyLayout& layout = part.layout;
    add_missing(layout_.arms, layout.arms, [](const ArmLayout& arm) { return arm.name; });
    add_missing(layout_.cases, layout.cases,
                [](const CaseLayout& one) { return std::pair(one.workload, one.case_name); });
    add_missing(layout_.seeds, layout.seeds, [](std::int64_t seed) { return seed; });
    add_missing(layout_.trainings, layout.trainings, [](const TrainingLayout& one) { return one.id; });
    add_missing(layout_.compare_with, layout.compare_with, [](const std::string& name) { return name; });
    add_missing(layout_.warnings, layout.warnings, [](const std::string& text) { return text; });
    if (!layout.stopped.empty()) layout_.stopped += (layout_.stopped.empty() ? "" : "; ") + layout.stopped;
    std::vector<TrialResult> of_rounds;
    std::map<int, int> numbers;  // of its rounds that are not there yet, by the numbers that they had
    for (TrialResult& trial : part.trials) {
      if (is_once_(trial.workload) || trial.status == "refused") {
        add_once(std::move(trial));
      } else if (is_there(trial)) {
        ++twice_;
      } else {
        numbers[trial.round] = 0;
        of_rounds.push_back(std::move(trial));
      }
    }
    for (auto& [old, number] : numbers) number = rounds_++;
    for (TrialResult& trial : of_rounds) add_of_round(std::move(trial), numbers);
    for (json record : part.environment.value("rounds", json::array())) {
      const auto number = numbers.find(record.value("round", 0));
      if (number == numbers.end()) continue;
      record["round"] = number->second;
      records_.push_back(std::move(record));
    }
    part_rounds_.push_back(static_cast<int>(numbers.size()));
  }

  void add_once(TrialResult trial) {
    const Once key{trial.arm, trial.workload, trial.case_name, trial.seed};
    const auto [found, is_new] = once_.try_emplace(key, trials_.size());
    if (is_new) {
      layout_.trials.push_back(trial.id);
      trials_.push_back(std::move(trial));
      return;
    }
    ++twice_;
    TrialResult& kept = trials_[found->second];
    if (!kept.is_ok() && trial.is_ok()) {
      layout_.trials[found->second] = trial.id;
      kept = std::move(trial);
    } else if (kept.is_ok() && trial.is_ok() && !says_the_same(kept, trial)) {
      layout_.warnings.push_back(fmt::format("{} {} {}: two machines do not say the same; the first one counts",
                                             trial.arm, trial.workload, trial.case_name));
    }
  }

  // A merged folder says by which id its machine knew the trial.
  static std::string known_as(const TrialResult& trial) { return trial.details.value("merged_id", trial.id); }

  [[nodiscard]] bool is_there(const TrialResult& trial) const {
    const auto [first, last] = of_rounds_.equal_range(known_as(trial));
    return std::any_of(first, last, [&](const auto& one) {
      TrialResult plain = trials_[one.second];
      plain.details.erase("merged_id");
      TrialResult other = trial;
      other.details.erase("merged_id");
      return is_the_same(plain, other);
    });
  }

  void add_of_round(TrialResult trial, const std::map<int, int>& numbers) {
    const std::string id = known_as(trial);
    trial.round = numbers.at(trial.round);
    if (of_rounds_.contains(id)) {
      trial.details["merged_id"] = id;
      trial.id = experiment::sha256_of_text(fmt::format("{} {}", id, trial.round)).substr(0, id.size());
    }
    of_rounds_.emplace(id, trials_.size());
    layout_.trials.push_back(trial.id);
    trials_.push_back(std::move(trial));
  }

  static void copy_trainings(const Part& part, const fs::path& out) {
    std::error_code failure;
    for (fs::directory_iterator entry(part.folder / "training", failure), end; !failure && entry != end;
         entry.increment(failure)) {
      if (!entry->is_regular_file() || entry->path().filename().string().starts_with('.')) continue;
      std::error_code fault;
      fs::create_directories(out / "training", fault);
      fs::copy_file(entry->path(), out / "training" / entry->path().filename(), fs::copy_options::skip_existing, fault);
      if (fault) throw Error(entry->path().string(), "cannot be copied: " + fault.message());
    }
  }

  // That of the folder with the most rounds; the nodes of all.
  void write_environment(const fs::path& out) {
    const std::size_t main = static_cast<std::size_t>(std::ranges::max_element(part_rounds_) - part_rounds_.begin());
    json environment = parts_[main].environment;
    layout_.rounds = std::max(rounds_, 1);
    layout_.least_rounds = layout_.most_rounds = layout_.rounds;
    layout_.until = 0;
    std::map<std::string, std::pair<std::string, std::pair<std::set<int>, int>>> nodes;
    for (const TrialResult& trial : trials_) {
      const json& node = trial.details.at("node");
      auto& [kind, done] = nodes[node.value("name", "")];
      kind = node.value("kind", "");
      if (!is_once_(trial.workload)) done.first.insert(trial.round);
      ++done.second;
    }
    environment["nodes"] = json::array();
    for (const auto& [name, node] : nodes)
      environment["nodes"].push_back({{"name", name},
                                      {"kind", node.first},
                                      {"rounds", node.second.first.size()},
                                      {"round_numbers", counted_from_one(node.second.first)},
                                      {"trials", node.second.second}});
    environment.erase("attnlab_seconds");
    environment["rounds"] = records_;
    environment["study"] = layout_;
    write_atomically(out / "environment.json", json_text(environment));
  }

  std::vector<Part> parts_;
  const std::function<bool(const std::string&)>& is_once_;
  StudyLayout layout_;
  std::vector<TrialResult> trials_;
  std::map<Once, std::size_t> once_;                   // to trials_
  std::multimap<std::string, std::size_t> of_rounds_;  // by id as it was
  std::vector<json> records_;
  std::vector<int> part_rounds_;
  int rounds_ = 0;
  std::size_t twice_ = 0;
};

// "run", "run-2": two folders may have the same name.
void tell_apart(std::vector<Part>& parts) {
  std::map<std::string, int> seen;
  for (Part& part : parts)
    if (const int times = ++seen[part.name]; times > 1) part.name += fmt::format("-{}", times);
}

}  // namespace

Merged merge_runs(const std::vector<fs::path>& folders, const fs::path& out,
                  const std::function<bool(const std::string& workload)>& is_once) {
  std::error_code none;
  if (fs::exists(out, none) && (!fs::is_directory(out, none) || !fs::is_empty(out, none)))
    throw Error(out.string(), "is there and not empty", "name another folder with -o");
  std::vector<Part> parts;
  for (const fs::path& folder : folders) parts.push_back(read_part(folder));
  std::vector<Problem> problems;
  for (std::size_t other = 1; other < parts.size(); ++other) check(parts.front(), parts[other], problems);
  if (!problems.empty()) throw Error(std::move(problems));
  tell_apart(parts);
  return Merger(std::move(parts), is_once).merge(out);
}

}  // namespace attnlab::report
