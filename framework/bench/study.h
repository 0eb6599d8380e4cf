// A benchmark's JSON as a results folder, so that the reports of experiments show it too. The arms are the plain arm
// and those that differ from it in the plugin that is measured; a case is a head width, a context and a phase.
#pragma once

#include <filesystem>

#include <nlohmann/json_fwd.hpp>

#include "machine/environment.h"

namespace attnlab::bench {

/// Reads what `attnlab bench` wrote with --benchmark_out. Error for anything else.
[[nodiscard]] nlohmann::json read_benchmarks(const std::filesystem::path& file);

/// Where it was measured, as far as the JSON's context tells.
[[nodiscard]] experiment::Environment environment_of(const nlohmann::json& benchmarks);

/// An empty results folder. Error where it cannot be made, or is not empty. An empty path: results/bench/<time>.
[[nodiscard]] std::filesystem::path make_study_folder(const std::filesystem::path& folder);

/// environment.json, trials/ and the reports.
void write_study(const nlohmann::json& benchmarks, const experiment::Environment& environment,
                 const std::filesystem::path& folder);

}  // namespace attnlab::bench
