// Whether a case can tell caches apart: where the model does not answer with every row in its cache, an arm with fewer
// rows is not known to have lost anything.
#pragma once

#include <vector>

#include "report/read/study_layout.h"
#include "report/summary/summary.h"

namespace attnlab::report {

/// Below this share of right answers with the full cache a case says nothing about smaller ones.
inline constexpr double kLeastCeiling = 0.9;

/// Sets `no_verdict` of the shares of right answers of every arm whose twin that keeps every row (the same in all but the
/// cache) is in the study and answers less than kLeastCeiling of the same case.
void mark_undiscriminating(const StudyLayout& layout, std::vector<SummaryRow>& rows);

}  // namespace attnlab::report
