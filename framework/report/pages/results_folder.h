// The files of a results folder that are rebuilt from what was read of it: tables, charts and pages.
#pragma once

#include <filesystem>
#include <string>

#include <attnlab/api.h>

#include "report/summary/results.h"

namespace attnlab::report {

/// Reads the folder and writes samples.csv, summary.csv, comparisons.csv, charts/*.svg, report.md and report.html, each
/// atomically. What `attnlab report DIR` does. Returns what it read.
ATTNLAB_API Results write_reports(const std::filesystem::path& results_folder, const std::string& baseline = "");

}  // namespace attnlab::report
