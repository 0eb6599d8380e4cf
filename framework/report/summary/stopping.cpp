#include "report/summary/stopping.h"

#include <algorithm>
#include <limits>
#include <optional>

#include <fmt/format.h>

#include "report/read/format.h"
#include "report/read/metrics.h"

namespace attnlab::report {
namespace {

constexpr double kNone = std::numeric_limits<double>::infinity();

struct Width {
  const SummaryRow* row = nullptr;
  double half = 0;  // as a share of the figure
};

// An arm that fails will not get narrower.
bool runs_on(const Summary& summary, const SummaryRow& row) {
  return std::ranges::none_of(summary.rows, [&](const SummaryRow& other) {
    return !other.is_ok() && other.arm == row.arm && other.workload == row.workload && other.case_name == row.case_name;
  });
}

double half_width(const SummaryRow& row) {
  const Estimate& estimate = row.ratio && !row.is_baseline ? *row.ratio : row.estimate;
  if (!estimate.interval || !estimate.interval->is_confident() || estimate.interval->is_of_slices) return kNone;
  return (estimate.interval->high - estimate.interval->low) / 2 / estimate.median;
}

std::optional<Width> widest(const Summary& summary) {
  std::optional<Width> widest;
  for (const SummaryRow& row : summary.rows) {
    if (!row.is_ok() || (row.metric != kPrefill && row.metric != kDecode) || !runs_on(summary, row)) continue;
    const double half = half_width(row);
    if (!widest || half > widest->half) widest = Width{&row, half};
  }
  return widest;
}

}  // namespace

bool is_narrow_enough(const Summary& summary, double until) {
  const std::optional<Width> found = widest(summary);
  return !found || found->half <= until;
}

std::string widest_interval(const Summary& summary) {
  const std::optional<Width> found = widest(summary);
  if (!found) return {};
  const std::string what = fmt::format("{} of {} in {}", metric_heading(found->row->metric), one_line(found->row->arm),
                                       one_line(case_title({found->row->workload, found->row->case_name})));
  if (found->half == kNone)
    return fmt::format("no 95 % interval yet of {}, measured {} times", what, found->row->estimate.n);
  return fmt::format("the widest interval is ± {:.1f} %: {}", found->half * 100, what);
}

}  // namespace attnlab::report
