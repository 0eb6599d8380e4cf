// The program that main calls.
#pragma once

#include <attnlab/api.h>

namespace attnlab::cli {

/// Runs one command; returns its exit code. Errors are printed, one line each, on stderr.
ATTNLAB_API int program(int argc, char** argv);

}  // namespace attnlab::cli
