// Units become job arrays, and what one needs of others becomes their dependencies. Pure: nothing is submitted here.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <attnlab/api.h>

#include "cluster/unit.h"
#include "study/plan.h"

namespace attnlab::cluster {

/// What an array waits for.
struct Need {
  enum class Of : std::uint8_t {
    corresponding,  // each element for the good end of the element with its number (aftercorr)
    good_end,       // afterok
    any_end         // afterany
  };
  Of of = Of::any_end;
  std::size_t array = 0;  // an earlier one of the list
  int task = -1;          // of it; -1: all of them

  friend auto operator<=>(const Need&, const Need&) = default;
};

struct JobArray {
  UnitKind kind = UnitKind::once;
  std::size_t first = 0;  // unit of its first element
  int count = 0;
  int first_task = 0;  // elements are numbered from here
  std::vector<Need> needs;
};

/// Arrays of neighbouring units, none with an element number of `max_array` or above. What is done once waits for the
/// good end of the arm's trainings, and for any end of what the baseline does once where its predictions are compared;
/// rounds wait for any end of all trainings: a round measures what there is.
/// `units`: in the order of StudyUnits::all; those that are done may be missing, and what they would be needed for does
/// not wait.
[[nodiscard]] ATTNLAB_API std::vector<JobArray> job_arrays(const experiment::Plan& plan, const StudyUnits& study,
                                                           const std::vector<Unit>& units, int max_array);

/// "aftercorr:12,afterany:13_0"; empty where nothing is needed. `ids`: job ids of the arrays before.
[[nodiscard]] ATTNLAB_API std::string dependency_text(const std::vector<Need>& needs,
                                                      const std::vector<std::string>& ids);

}  // namespace attnlab::cluster
