#include "report/summary/discrimination.h"

#include <map>
#include <string>
#include <tuple>

#include <fmt/format.h>

#include "report/read/format.h"
#include "report/read/metrics.h"

namespace attnlab::report {

void mark_undiscriminating(const StudyLayout& layout, std::vector<SummaryRow>& rows) {
  std::map<std::string, std::string> twins;  // by arm
  for (const ArmLayout& arm : layout.arms)
    if (!arm.but_for_cache.empty()) twins[arm.name] = arm.but_for_cache;
  const auto is_asked = [&](const SummaryRow& row) {
    return row.is_ok() && is_share_of_answers(row.metric) && twins.contains(row.arm);
  };
  // The first share of a case decides for all of them: rows are in the order of the tables, answers before tokens.
  std::map<std::tuple<std::string, std::string, std::string>, const SummaryRow*> ceilings;
  const auto place_of = [&](const SummaryRow& row) {
    return std::tuple(twins.at(row.arm), row.workload, row.case_name);
  };
  for (const SummaryRow& row : rows)
    if (is_asked(row) && row.keeps_every_row) ceilings.try_emplace(place_of(row), &row);
  for (SummaryRow& row : rows) {
    if (!is_asked(row) || row.keeps_every_row || !row.no_verdict.empty()) continue;
    const auto ceiling = ceilings.find(place_of(row));
    if (ceiling == ceilings.end() || !(ceiling->second->estimate.median < kLeastCeiling)) continue;
    row.no_verdict = fmt::format("not discriminative: with every row in the cache less than {} are right",
                                 format_value(kLeastCeiling, "share"));
  }
}

}  // namespace attnlab::report
