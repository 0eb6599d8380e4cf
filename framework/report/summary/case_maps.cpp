#include "report/summary/case_maps.h"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

namespace attnlab::report {
namespace {

using Cells = std::map<std::pair<double, double>, std::string>;  // (y, x) -> case

// The larger numbers stand in the columns: lengths, beside depths between 0 and 1.
bool is_across(const std::string& name, const std::string& other, const std::vector<const CaseLayout*>& cases) {
  const auto largest = [&](const std::string& of) {
    double most = 0;
    for (const CaseLayout* entry : cases) most = std::max(most, entry->numbers.at(of));
    return most;
  };
  const double mine = largest(name), its = largest(other);
  return mine != its ? mine > its : name < other;
}

using Groups = std::map<std::string, std::vector<const CaseLayout*>>;  // by what else the cases are

std::string others_of(const CaseLayout& entry, const std::string& one, const std::string& other) {
  std::string text;
  for (const auto& [name, number] : entry.numbers)
    if (name != one && name != other) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", name, number);
  if (const auto kind = entry.data.find("kind"); kind != entry.data.end())
    text += (text.empty() ? "" : ", ") + kind->second;
  return text;
}

void add_map(std::vector<CaseMap>& maps, const std::string& across, const std::string& down, const std::string& others,
             const std::vector<const CaseLayout*>& cases) {
  std::set<double> xs, ys;
  Cells cells;
  for (const CaseLayout* entry : cases) {
    const double x = entry->numbers.at(across), y = entry->numbers.at(down);
    xs.insert(x);
    ys.insert(y);
    if (!cells.try_emplace({y, x}, entry->case_name).second) return;  // something else tells them apart
  }
  if (xs.size() < 2 || ys.size() < 2 || 2 * cells.size() <= xs.size() * ys.size()) return;
  CaseMap map{.workload = cases.front()->workload,
              .across = across,
              .down = down,
              .others = others,
              .xs = {xs.begin(), xs.end()},
              .ys = {ys.begin(), ys.end()},
              .cases = {}};
  for (const double y : map.ys)
    for (const double x : map.xs) {
      const auto cell = cells.find({y, x});
      map.cases.push_back(cell == cells.end() ? "" : cell->second);
    }
  maps.push_back(std::move(map));
}

}  // namespace

std::vector<CaseMap> case_maps(const StudyLayout& layout) {
  std::vector<CaseMap> maps;
  std::vector<std::string> workloads;
  for (const CaseLayout& entry : layout.cases)
    if (std::ranges::find(workloads, entry.workload) == workloads.end()) workloads.push_back(entry.workload);
  for (const std::string& workload : workloads) {
    std::map<std::pair<std::string, std::string>, Groups> by_names;  // (one, other) -> others -> cases
    for (const CaseLayout& entry : layout.cases) {
      if (entry.workload != workload) continue;
      for (auto one = entry.numbers.begin(); one != entry.numbers.end(); ++one)
        for (auto other = std::next(one); other != entry.numbers.end(); ++other)
          by_names[{one->first, other->first}][others_of(entry, one->first, other->first)].push_back(&entry);
    }
    for (const auto& [names, groups] : by_names) {
      const std::size_t first = maps.size();
      for (const auto& [others, cases] : groups) {
        const bool is_first_across = is_across(names.first, names.second, cases);
        add_map(maps, is_first_across ? names.first : names.second, is_first_across ? names.second : names.first,
                others, cases);
      }
      if (maps.size() == first + 1) maps.back().others.clear();
    }
  }
  return maps;
}

}  // namespace attnlab::report
