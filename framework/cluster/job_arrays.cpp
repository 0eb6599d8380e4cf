#include "cluster/job_arrays.h"

#include <algorithm>
#include <map>
#include <optional>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

namespace attnlab::cluster {
namespace {

using experiment::Plan;

struct Place {
  std::size_t array;
  int task;
};

class Arranger {
 public:
  Arranger(const Plan& plan, const StudyUnits& study, const std::vector<Unit>& units, int max_array)
      : plan_(plan), study_(study), units_(units), max_array_(max_array) {
    for (std::size_t group = 0; group < plan.groups.size(); ++group)
      for (const std::size_t arm : plan.groups[group].arms) group_of_arm_[arm] = group;
    for (const experiment::PlannedCase& planned : plan.cases)
      compares_ = compares_ || !plan.kind_of(planned).against_baseline.empty();
  }

  std::vector<JobArray> arrange() {
    for (std::size_t unit = 0; unit < units_.size(); ++unit) add(unit);
    return std::move(arrays_);
  }

 private:
  struct Wanted {
    std::vector<Place> good;
    std::vector<Need> any;
  };

  // With a search an arm needs the trainings of all seeds: the rate that is kept is the best of them all.
  Wanted wanted(const Unit& unit) {
    Wanted needs;
    if (unit.kind == UnitKind::round)
      for (std::size_t array = 0; array < arrays_.size(); ++array)
        if (arrays_[array].kind == UnitKind::training) needs.any.push_back({Need::Of::any_end, array, -1});
    if (unit.kind != UnitKind::once) return needs;
    const std::size_t arm = study_.arm(unit.arm);
    if (const auto group = group_of_arm_.find(arm); group != group_of_arm_.end()) {
      const bool is_search = plan_.arms[arm].trained->rates().size() > 1;
      for (const std::size_t index : plan_.groups[group->second].trainings) {
        const experiment::PlannedTraining& training = plan_.trainings[index];
        const auto place = places_.find(training.id);
        if (place != places_.end() && (is_search || training.seed == unit.seed)) needs.good.push_back(place->second);
      }
    }
    if (compares_ && arm != plan_.spec.baseline)
      if (const auto baseline = of_baseline_.find(unit.seed); baseline != of_baseline_.end())
        needs.any.push_back({Need::Of::any_end, baseline->second.array, baseline->second.task});
    return needs;
  }

  // The last array takes the unit where it waits for the same, element by element or as a whole.
  void add(std::size_t index) {
    const Unit& unit = units_[index];
    Wanted needs = wanted(unit);
    std::vector<Need> whole = needs.any;
    for (const Place& place : needs.good) whole.push_back({Need::Of::good_end, place.array, place.task});
    std::vector<Need> paired = needs.any;
    const bool can_pair = needs.good.size() == 1;
    if (can_pair) paired.push_back({Need::Of::corresponding, needs.good[0].array, -1});
    // What the others wait for stands alone: an array is ended as a whole only.
    const bool is_baseline = unit.kind == UnitKind::once && study_.arm(unit.arm) == plan_.spec.baseline;
    const bool fits = !arrays_.empty() && !is_baseline && !after_baseline_ && arrays_.back().kind == unit.kind &&
                      arrays_.back().first + static_cast<std::size_t>(arrays_.back().count) == index &&
                      arrays_.back().first_task + arrays_.back().count < max_array_;
    if (fits && can_pair && arrays_.back().needs == paired &&
        needs.good[0].task == arrays_.back().first_task + arrays_.back().count) {
      ++arrays_.back().count;
    } else if (fits && !can_pair && arrays_.back().needs == whole) {
      ++arrays_.back().count;
    } else {
      arrays_.push_back({.kind = unit.kind,
                         .first = index,
                         .count = 1,
                         .first_task = can_pair ? needs.good[0].task : 0,
                         .needs = can_pair ? paired : whole});
    }
    after_baseline_ = is_baseline;
    const Place place{arrays_.size() - 1, arrays_.back().first_task + arrays_.back().count - 1};
    if (unit.kind == UnitKind::training) places_[unit.training] = place;
    if (is_baseline) of_baseline_[unit.seed] = place;
  }

  const Plan& plan_;
  const StudyUnits& study_;
  const std::vector<Unit>& units_;
  int max_array_;
  bool compares_ = false, after_baseline_ = false;
  std::unordered_map<std::size_t, std::size_t> group_of_arm_;
  std::unordered_map<std::string, Place> places_;  // of trainings, by id
  std::map<std::int64_t, Place> of_baseline_;      // by seed
  std::vector<JobArray> arrays_;
};

}  // namespace

std::vector<JobArray> job_arrays(const Plan& plan, const StudyUnits& study, const std::vector<Unit>& units,
                                 int max_array) {
  return Arranger(plan, study, units, max_array).arrange();
}

std::string dependency_text(const std::vector<Need>& needs, const std::vector<std::string>& ids) {
  std::string text;
  for (const Need& need : needs) {
    const char* how = need.of == Need::Of::corresponding ? "aftercorr"
                      : need.of == Need::Of::good_end    ? "afterok"
                                                         : "afterany";
    text += fmt::format("{}{}:{}{}", text.empty() ? "" : ",", how, ids[need.array],
                        need.task < 0 ? "" : fmt::format("_{}", need.task));
  }
  return text;
}

}  // namespace attnlab::cluster
