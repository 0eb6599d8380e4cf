// Runs a suite under Google Benchmark: registration, the roof, what the JSON says of where it was measured, errors.
#pragma once

#include "bench/google_flags.h"
#include "bench/suite.h"
#include "machine/environment.h"

namespace attnlab::bench {

struct Outcome {
  bool all_well = true;                 // no benchmark ended with an error
  experiment::Environment environment;  // with the roof, where something ran
};

/// Prints on stdout (and into the file that --benchmark_out names) as Google Benchmark does. What is left out is said
/// in the JSON's context, and on stderr where `is_verbose`. Error where no benchmark is asked for.
[[nodiscard]] Outcome run_suite(const Registry& registry, const Suite& suite, GoogleFlags flags, bool is_verbose);

}  // namespace attnlab::bench
