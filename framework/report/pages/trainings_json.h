// The key "trainings" of report_json.h.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "report/summary/results.h"

namespace attnlab::report {

/// Null where the study trains nothing. Losses of curves are rounded to six digits: they are drawn, and a page may hold
/// hundreds of them; training/ has them in full.
[[nodiscard]] nlohmann::ordered_json trainings_json(const Results& results);

}  // namespace attnlab::report
